/// The error answers: RFC 9457 problem details, made in one place.
///
/// [Problem][dev.mdev.host.problem.Problem] is the list of all kinds of failure and the one table
/// from error numbers to HTTP statuses. Controllers and services throw; only this package writes an
/// error body.
@NullMarked
package dev.mdev.host.problem;

import org.jspecify.annotations.NullMarked;
