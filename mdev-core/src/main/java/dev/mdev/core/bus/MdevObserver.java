package dev.mdev.core.bus;

import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.ScrubReport;
import dev.mdev.core.driver.CallReport;
import dev.mdev.core.mapping.FaultRecord;

/// Receives events of devices, on the thread that causes them unless stated otherwise.
/// Implementations are quick and do not throw.
public interface MdevObserver {
    /// Ignores everything.
    MdevObserver NONE = new MdevObserver() {};

    /// A guest of the device faulted, and the fault was answered.
    default void faulted(Mdev mdev, FaultRecord fault) {}

    /// A callback of the device's driver returned or threw.
    default void called(Mdev mdev, String callback, long durationNanos) {}

    /// A guest reset its device, as often as it likes.
    default void resetByGuest(Mdev mdev) {}

    /// An event for operators. Events come in the order of their numbers, one at a time, on any of
    /// the bus's threads.
    default void event(MdevEvent event) {}

    /// Pages were scrubbed, or the attempt failed.
    default void scrubbed(ScrubReport report) {}

    /// A callback that took longer than the threshold is over. Of one that has been running for
    /// longer than its deadline, [MdevEvent.CallbackOverdue] tells.
    default void slowCallback(CallReport report) {}
}
