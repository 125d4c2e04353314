package dev.mdev.core.device;

import dev.mdev.api.ReportLevel;
import dev.mdev.core.mapping.FaultRecord;

/// Receives events of a device, on the thread that causes them. Implementations are quick and do
/// not throw.
public interface MdevListener {
    /// A guest of the device faulted, and the fault was answered.
    void faulted(Mdev mdev, FaultRecord fault);

    /// A callback of the device's driver returned or threw.
    void called(Mdev mdev, String callback, long durationNanos);

    /// The driver has trouble with the device.
    ///
    /// @param text one line
    void reported(Mdev mdev, ReportLevel level, String text);

    /// A guest reset the device.
    void resetByGuest(Mdev mdev);

    /// A holder got the device.
    void assigned(Mdev mdev, String holder);

    /// A holder released the device, or lost it.
    void unassigned(Mdev mdev, String holder);
}
