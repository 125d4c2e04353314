package dev.mdev.core.engine;

import dev.mdev.api.Refusal;
import dev.mdev.api.page.Access;

/// Why a virtual processor stopped.
public sealed interface VcpuExit {
    /// The submitted access is finished.
    record Done() implements VcpuExit {}

    /// A load from an address without memory behind it (`KVM_EXIT_MMIO`).
    /// [VcpuEngine#completeMmioRead] answers it.
    ///
    /// @param gpa guest-physical address
    /// @param widthBytes 1 to 8; other than 1, 2, 4, 8 only where an access crosses pages
    record MmioRead(long gpa, int widthBytes) implements VcpuExit {}

    /// A store to such an address, or to read-only memory.
    ///
    /// @param value the bytes stored, in the low bytes
    record MmioWrite(long gpa, int widthBytes, long value) implements VcpuExit {}

    /// The access failed.
    ///
    /// @param gpa of the access that failed
    /// @param refusal with the errno that `KVM_RUN` would return, or the refusal of the memory's
    ///   owner
    record Fault(long gpa, Access access, Refusal refusal) implements VcpuExit {}

    /// The processor's dirty ring is full (`KVM_EXIT_DIRTY_RING_FULL`); the processor continues
    /// after a reset.
    record DirtyRingFull() implements VcpuExit {}

    /// A thread kicked it.
    record Interrupted() implements VcpuExit {}
}
