package dev.mdev.core.pci;

/// Receives the interrupts of a function, in a machine that emulates MSI and MSI-X itself.
@FunctionalInterface
public interface InterruptObserver {
    /// Receives an interrupt. Any thread may call it, including a driver's, with locks of the
    /// function held: it must return at once, must not throw, and must not call the function.
    void interrupted(Interrupt interrupt);
}
