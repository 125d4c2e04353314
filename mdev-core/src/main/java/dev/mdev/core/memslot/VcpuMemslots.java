package dev.mdev.core.memslot;

import org.jspecify.annotations.Nullable;

/// The slots as one vCPU sees them: those of its current address space (Linux `kvm_vcpu_memslots`).
///
/// Belongs to the vCPU's thread; no other may call anything but [#isInSmm] and [#vcpuId]. Lookups
/// are made in a section of [AddressSpaces#srcu] and do not allocate.
public final class VcpuMemslots {
    private final AddressSpaces spaces;
    private final int vcpuId;
    private volatile boolean inSmm;

    /// The slot of the last lookup, found in the set of `cachedGeneration`.
    private @Nullable Memslot cachedSlot;

    private long cachedGeneration;

    /// @param vcpuId 0 or more, told to the [DirtySink]
    public VcpuMemslots(AddressSpaces spaces, int vcpuId) {
        this.spaces = spaces;
        this.vcpuId = vcpuId;
    }

    public AddressSpaces spaces() {
        return spaces;
    }

    public int vcpuId() {
        return vcpuId;
    }

    /// Whether the vCPU is in system management mode.
    public boolean isInSmm() {
        return inSmm;
    }

    /// Enters or leaves system management mode. From the next lookup on, the other address space
    /// counts; whoever keeps mappings must drop or switch them.
    public void setInSmm(boolean inSmm) {
        this.inSmm = inSmm;
    }

    /// The address space that the vCPU is in now.
    public int asId() {
        return spaces.config().asIdOfVcpu(inSmm);
    }

    /// The published slots of that address space.
    public MemslotSet active() {
        return spaces.active(asId());
    }

    /// The slot that has the guest frame, or null: none, or one that is hidden from this vCPU. The
    /// slot may be INVALID ([Memslot#isInvalid]): then the access is to be tried again.
    public @Nullable Memslot find(long gfn) {
        MemslotSet set = active();
        // Generations of different address spaces differ, so this also sees a change of mode.
        if (set.generation() != cachedGeneration) {
            cachedGeneration = set.generation();
            cachedSlot = null;
        }
        Memslot slot = cachedSlot;
        if (slot == null || !slot.contains(gfn)) {
            slot = set.search(gfn);
            if (slot == null) {
                return null;
            }
            cachedSlot = slot;
        }
        return slot.isHidden(inSmm) ? null : slot;
    }
}
