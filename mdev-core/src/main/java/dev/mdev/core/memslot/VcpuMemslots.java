package dev.mdev.core.memslot;

import org.jspecify.annotations.Nullable;

/// The slots as one vCPU sees them: those of its current address space (Linux `kvm_vcpu_memslots`).
///
/// Belongs to the vCPU's thread; other threads may call only [#isInSmm] and [#vcpuId]. Lookups
/// happen in a section of [AddressSpaces#srcu] and do not allocate.
public final class VcpuMemslots {
    private final AddressSpaces spaces;
    private final int vcpuId;
    private volatile boolean inSmm;

    /// The slot of the last lookup, found in the set of `cachedGeneration`.
    private @Nullable Memslot cachedSlot;

    private long cachedGeneration;

    /// @param vcpuId 0 or more, passed to the [DirtySink]
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

    /// Enters or leaves system management mode. The next lookup uses the other address space; the
    /// owner of mappings must drop or switch them.
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

    /// The slot of the guest frame. Null if there is none, or if it is hidden from this vCPU. If
    /// the slot is INVALID ([Memslot#isInvalid]), the access must be retried.
    public @Nullable Memslot find(long gfn) {
        MemslotSet set = active();
        // Generations of different address spaces differ, so this check also detects a change of
        // mode.
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
