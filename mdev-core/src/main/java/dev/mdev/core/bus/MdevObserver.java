package dev.mdev.core.bus;

import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.ScrubReport;
import dev.mdev.core.driver.CallReport;
import dev.mdev.core.mapping.FaultRecord;

/// Is told what happens to devices, by the thread that it happens on unless said otherwise.
/// Implementations are quick and do not throw.
public interface MdevObserver {
    /// Wants to know nothing.
    MdevObserver NONE = new MdevObserver() {};

    /// A guest of the device faulted, and the fault was answered.
    default void faulted(Mdev mdev, FaultRecord fault) {}

    /// A callback of the device's driver returned or threw.
    default void called(Mdev mdev, String callback, long durationNanos) {}

    default void created(Mdev mdev) {}

    default void removed(Mdev mdev) {}

    /// Something happened that an operator may want to see. Events come in the order of their
    /// numbers, one at a time, by any of the bus's threads.
    default void event(MdevEvent event) {}

    /// Pages were scrubbed, or should have been.
    default void scrubbed(ScrubReport report) {}

    /// A callback took longer than the threshold (told when it is over), or has been running for
    /// longer than its deadline (told once, by the bus's watchdog).
    default void slowCallback(CallReport report) {}
}
