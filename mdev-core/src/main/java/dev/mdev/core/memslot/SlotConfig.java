package dev.mdev.core.memslot;

import dev.mdev.core.addr.GfnRange;

/// The properties of a virtual machine's slots that are fixed at its creation.
///
/// @param addressSpaces address spaces, 1 to 65536; Linux has 2 on x86 with system management mode
///   (SMM), else 1
/// @param maxGfn the highest gfn that a slot may reach, less than 2^52. Linux takes it from the
///   processor's physical address width with two-dimensional paging, and 2^40 - 1 without
/// @param hvaLimit first address that is not user space (Linux `TASK_SIZE_MAX`)
/// @param smramFlag whether [SlotFlags#SMRAM] hides slots from vCPUs outside SMM, instead of an
///   address space of its own
public record SlotConfig(int addressSpaces, long maxGfn, long hvaLimit, boolean smramFlag) {
    private static final int MAX_ADDRESS_SPACES = 1 << 16;
    private static final long DEFAULT_MAX_GFN = (1L << 40) - 1;

    /// x86-64 with 4-level page tables: the lower half less its last page.
    private static final long DEFAULT_HVA_LIMIT = 0x7fff_ffff_f000L;

    public SlotConfig {
        if (addressSpaces < 1
                || addressSpaces > MAX_ADDRESS_SPACES
                || maxGfn < 0
                || maxGfn >= GfnRange.GFN_LIMIT
                || hvaLimit < 0) {
            throw new IllegalArgumentException(
                    "not a slot configuration: addressSpaces=%d maxGfn=0x%x hvaLimit=0x%x"
                            .formatted(addressSpaces, maxGfn, hvaLimit));
        }
        if (smramFlag && addressSpaces != 1) {
            throw new IllegalArgumentException(
                    "the SMRAM flag and address spaces exclude each other: addressSpaces="
                            + addressSpaces);
        }
    }

    /// Linux on x86-64: two address spaces, the second one for SMM.
    public static SlotConfig x86() {
        return new SlotConfig(2, DEFAULT_MAX_GFN, DEFAULT_HVA_LIMIT, false);
    }

    /// One address space and no SMM: other architectures, and machines with private memory.
    public static SlotConfig withoutSmm() {
        return new SlotConfig(1, DEFAULT_MAX_GFN, DEFAULT_HVA_LIMIT, false);
    }

    /// The older design of SMM: one address space, and slots that carry [SlotFlags#SMRAM].
    public static SlotConfig withSmramFlag() {
        return new SlotConfig(1, DEFAULT_MAX_GFN, DEFAULT_HVA_LIMIT, true);
    }

    /// Slots with this design of SMM.
    public static SlotConfig of(SmmDesign design) {
        return switch (design) {
            case NONE -> withoutSmm();
            case ADDRESS_SPACE -> x86();
            case SLOT_FLAG -> withSmramFlag();
        };
    }

    /// The same, with another highest gfn.
    public SlotConfig withMaxGfn(long highest) {
        return new SlotConfig(addressSpaces, highest, hvaLimit, smramFlag);
    }

    /// Whether vCPUs can enter SMM.
    public boolean supportsSmm() {
        return smramFlag || addressSpaces > 1;
    }

    /// The address space of a vCPU (Linux `kvm_arch_vcpu_memslots_id`).
    ///
    /// @param inSmm whether the vCPU is in SMM
    public int asIdOfVcpu(boolean inSmm) {
        return inSmm && addressSpaces > 1 ? 1 : 0;
    }
}
