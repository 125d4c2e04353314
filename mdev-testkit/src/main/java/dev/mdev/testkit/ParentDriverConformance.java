package dev.mdev.testkit;

import org.junit.jupiter.api.Nested;

/// The conformance suite: what every parent driver has to keep to, whatever its device is.
///
/// A driver's tests extend this class and say how to get the driver:
///
///     final class MyDriverConformanceTest extends ParentDriverConformance {
///         @Override
///         public ParentDriver newDriver() {
///             return new MyDriver();
///         }
///     }
///
/// Each test probes a fresh driver at a fresh [InMemoryHost]. A failure names the seed, which
/// `-Dmdev.seed` repeats; `-Dmdev.testkit.accesses` and `-Dmdev.testkit.pages` say how long to
/// search, `-Dmdev.testkit.deadline-millis` how long a callback may take.
public abstract class ParentDriverConformance implements DriverUnderTest {
    /// Who the devices are, and how they come and go.
    @Nested
    final class LifeCycle extends LifeCycleRules {
        @Override
        DriverUnderTest subject() {
            return ParentDriverConformance.this;
        }
    }

    /// What may be mapped, and what becomes of it when it is revoked.
    @Nested
    final class Mappings extends MappingRules {
        @Override
        DriverUnderTest subject() {
            return ParentDriverConformance.this;
        }
    }

    /// What guests may do to registers and pages without harm.
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
