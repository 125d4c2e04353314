package dev.mdev.core.hostmm;

import dev.mdev.core.addr.HvaRange;

/// The parts of a [HostMm] that a fault in one of its vmas uses.
interface VmaFaults {
    /// A complete zap, with all notifiers.
    void zap(HvaRange range);

    /// The maximum wait for another fault on the same page.
    long fillTimeoutNanos();
}
