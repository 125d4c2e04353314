package dev.mdev.core.dirty;

/// What dirty tracking depends on of the machine it runs on.
///
/// @param cpuLogEntries entries of the processor's own log of writes that may reach a ring at once:
///   512 with page modification logging (PML), else 0
/// @param plainRing whether the ring is offered without acquire and release
///   (`KVM_CAP_DIRTY_LOG_RING`): on strongly ordered processors
/// @param ringWithBitmap whether memory is written with no vCPU running, so that a bitmap is
///   offered beside the ring (`KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP`): on arm64
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
