package dev.mdev.core.memslot;

/// The slot ids of one address space: the VMM's, then a few of the machine's own.
public final class SlotIds {
    /// Ids that a VMM may use: 0 to 32763 (`KVM_CAP_NR_MEMSLOTS`).
    public static final int USER_SLOTS = 32764;

    /// The task state segment of real mode on Intel (Linux `TSS_PRIVATE_MEMSLOT`).
    public static final int TSS = USER_SLOTS;

    /// The page that the APIC is virtualized on (Linux `APIC_ACCESS_PAGE_PRIVATE_MEMSLOT`).
    public static final int APIC_ACCESS_PAGE = USER_SLOTS + 1;

    /// The page table of real mode on Intel (Linux `IDENTITY_PAGETABLE_PRIVATE_MEMSLOT`).
    public static final int IDENTITY_MAP = USER_SLOTS + 2;

    /// All ids: 0 to 32766 (Linux `KVM_MEM_SLOTS_NUM`).
    public static final int ALL_SLOTS = USER_SLOTS + 3;

    private SlotIds() {}
}
