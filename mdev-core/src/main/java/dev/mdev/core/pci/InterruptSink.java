package dev.mdev.core.pci;

/// Where the interrupts of one vector go: an eventfd, or something of that kind.
@FunctionalInterface
public interface InterruptSink {
    /// Signals. Called by any thread, a driver's included, with the lock of the [InterruptSet]
    /// held, so that nothing is signalled after it was taken out: must return at once, must not
    /// throw, and must not call the set.
    void signal();
}
