/// The test kit for parent drivers: a host in memory, simulated guests, and a conformance suite.
///
/// A driver's tests extend the conformance suite, and use [dev.mdev.testkit.InMemoryHost] for tests
/// of their own: it does what the real host does, as strictly, without a virtual machine. A broken
/// contract ends in a [dev.mdev.testkit.ContractViolation].
@NullMarked
package dev.mdev.testkit;

import org.jspecify.annotations.NullMarked;
