package dev.mdev.testkit;

import org.junit.jupiter.api.Nested;

/// The conformance suite: the rules for every parent driver.
///
/// A driver's tests extend this class and supply the driver:
///
///     final class MyDriverConformanceTest extends ParentDriverConformance {
///         @Override
///         public ParentDriver newDriver() {
///             return new MyDriver();
///         }
///     }
///
/// Each test probes a new driver on a new [InMemoryHost]. A failure names the seed, which
/// `-Dmdev.seed` repeats; `-Dmdev.testkit.runs`, `-Dmdev.testkit.accesses` and
/// `-Dmdev.testkit.pages` control the length of the search, `-Dmdev.testkit.deadline-millis` the
/// deadline of a callback.
public abstract class ParentDriverConformance implements DriverUnderTest {
    /// The devices' descriptions, and their creation and end.
    @Nested
    final class LifeCycle extends LifeCycleRules {
        @Override
        DriverUnderTest subject() {
            return ParentDriverConformance.this;
        }
    }

    /// The grants that a driver may give, and the effect of a revocation.
    @Nested
    final class Mappings extends MappingRules {
        @Override
        DriverUnderTest subject() {
            return ParentDriverConformance.this;
        }
    }

    /// Registers and pages take any access of a guest without harm.
    @Nested
    final class Accesses extends AccessRules {
        @Override
        DriverUnderTest subject() {
            return ParentDriverConformance.this;
        }
    }

    /// Reset, failures of the host, and state that moves.
    @Nested
    final class State extends StateRules {
        @Override
        DriverUnderTest subject() {
            return ParentDriverConformance.this;
        }
    }
}
