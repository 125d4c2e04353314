package dev.mdev.core.memslot;

/// A VMM's request for one slot: the argument of `KVM_SET_USER_MEMORY_REGION` (Linux `struct
/// kvm_userspace_memory_region`). This record checks nothing: every value may come from a hostile
/// VMM.
///
/// @param slot the slot's id in the low 16 bits, its address space in the high 16
/// @param flags bits of [SlotFlags]
/// @param gpa first guest address
/// @param sizeBytes bytes, unsigned; 0 deletes the slot
/// @param hva first host address of the backing memory
public record UserMemoryRegion(int slot, int flags, long gpa, long sizeBytes, long hva) {
    private static final int ID_BITS = 16;
    private static final int ID_MASK = (1 << ID_BITS) - 1;

    /// The slot number of a slot in an address space.
    public static int slotNumber(int asId, int id) {
        return asId << ID_BITS | id;
    }

    /// The address space in a slot number, 0 to 65535.
    public static int asIdOf(int slotNumber) {
        return slotNumber >>> ID_BITS;
    }

    /// The slot's id in a slot number, 0 to 65535.
    public static int idOf(int slotNumber) {
        return slotNumber & ID_MASK;
    }

    /// The request that deletes a slot.
    public static UserMemoryRegion deletionOf(int slotNumber) {
        return new UserMemoryRegion(slotNumber, 0, 0, 0, 0);
    }

    @Override
    public String toString() {
        return "slot=0x%x flags=0x%x gpa=0x%x sizeBytes=0x%x hva=0x%x"
                .formatted(slot, flags, gpa, sizeBytes, hva);
    }
}
