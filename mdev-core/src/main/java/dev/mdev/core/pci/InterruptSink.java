package dev.mdev.core.pci;

/// The target of one vector's interrupts: an eventfd, or a similar object.
@FunctionalInterface
public interface InterruptSink {
    /// Signals. Any thread may call it, including a driver's, with the lock of the [InterruptSet]
    /// held, so that no signal follows its removal: it must return at once, must not throw, and
    /// must not call the set.
    void signal();
}
