package dev.mdev.core.pci;

/// Takes what interrupts leave a function, in a machine that emulates MSI and MSI-X itself.
@FunctionalInterface
public interface InterruptObserver {
    /// Takes an interrupt. Called by any thread, a driver's included, with locks of the function
    /// held: must return at once, must not throw, and must not call the function.
    void interrupted(Interrupt interrupt);
}
