/// Who may do what: callers, their roles and reach, tokens, sessions, tenants and the audit log.
///
/// A request passes [CallerFilter][dev.mdev.host.access.CallerFilter], which finds its
/// [Caller][dev.mdev.host.access.Caller], and [AccessInterceptor], which applies the one table of
/// rules, [AccessRules][dev.mdev.host.access.AccessRules]. Lists ask
/// [Visibility][dev.mdev.host.access.Visibility] what their caller sees.
@NullMarked
package dev.mdev.host.access;

import org.jspecify.annotations.NullMarked;
