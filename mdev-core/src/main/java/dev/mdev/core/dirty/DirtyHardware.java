package dev.mdev.core.dirty;

/// The properties of a machine that dirty tracking depends on.
///
/// @param cpuLogEntries entries of the processor's own write log that may reach a ring at once: 512
///   with page modification logging (PML), otherwise 0
/// @param plainRing whether the ring exists without acquire and release (`KVM_CAP_DIRTY_LOG_RING`):
///   on strongly ordered processors
/// @param ringWithBitmap whether the host writes memory without a running vCPU, so that a bitmap
///   exists beside the ring (`KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP`): on arm64
public record DirtyHardware(int cpuLogEntries, boolean plainRing, boolean ringWithBitmap) {
    private static final int PML_ENTRIES = 512;

    /// x86 without PML.
    public static DirtyHardware x86() {
        return new DirtyHardware(0, true, false);
    }

    /// x86 with PML.
    public static DirtyHardware x86WithPml() {
        return new DirtyHardware(PML_ENTRIES, true, false);
    }

    /// arm64.
    public static DirtyHardware arm64() {
        return new DirtyHardware(0, false, true);
    }
}
