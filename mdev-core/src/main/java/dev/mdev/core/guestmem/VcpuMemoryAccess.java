package dev.mdev.core.guestmem;

import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.VcpuMemslots;

import org.jspecify.annotations.Nullable;

/// Guest memory as one vCPU sees it now: the address space of its current mode (Linux
/// `kvm_vcpu_read_guest`, `kvm_vcpu_write_guest`). Instruction emulation, page table walks and
/// system management mode use it. Only the vCPU's thread may call.
public final class VcpuMemoryAccess extends SlotAccessor {
    private final VcpuMemslots slots;

    public VcpuMemoryAccess(VcpuMemslots slots, HostMemoryAccess host) {
        super(slots.spaces(), host, slots.vcpuId());
        this.slots = slots;
    }

    @Override
    @Nullable Memslot find(long gfn) {
        return slots.find(gfn);
    }
}
