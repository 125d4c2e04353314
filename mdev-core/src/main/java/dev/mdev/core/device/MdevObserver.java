package dev.mdev.core.device;

/// Is told what happens to devices, by the thread that it happens on. Implementations are quick and
/// do not throw.
public interface MdevObserver {
    /// Wants to know nothing.
    MdevObserver NONE = new MdevObserver() {};

    /// A guest of the device faulted, and the fault was answered.
    default void faulted(Mdev mdev, FaultRecord fault) {}

    /// A callback of the device's driver returned or threw.
    default void called(Mdev mdev, String callback, long durationNanos) {}

    default void created(Mdev mdev) {}

    default void removed(Mdev mdev) {}
}
