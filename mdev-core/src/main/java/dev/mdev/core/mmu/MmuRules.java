package dev.mdev.core.mmu;

/// What a guest's VMM can tell of an MMU, where Linux has more than one.
///
/// @param paging which of KVM's two MMUs it is
/// @param zapAllOnRemoval whether deleting or moving a slot drops the mappings of all slots, as
///   Linux does by default on x86 (`KVM_X86_QUIRK_SLOT_ZAP_ALL`)
public record MmuRules(Paging paging, boolean zapAllOnRemoval) {
    /// Linux on x86, on a processor without two-dimensional paging.
    public static final MmuRules DEFAULT = new MmuRules(Paging.SHADOW, true);

    /// KVM's two MMUs.
    public enum Paging {
        /// KVM combines the guest's page tables with its own. Where the guest's are clean, it
        /// withholds write permission until the guest stores (`protect_clean_gpte`): on a slot that
        /// logs, only a store marks a page. (A guest whose tables are dirty from the beginning
        /// marks by loads, too; this plays one with clean tables.) A store to a part of a large
        /// leaf drops the leaf.
        SHADOW,
        /// The processor walks both tables (EPT, NPT), and KVM does not see what the guest permits.
        /// A load makes a page writable that the host may write (`hva_to_pfn_slow`), and marks it
        /// on a slot that logs (`make_spte`). A store to a part of a large leaf splits it
        /// (`tdp_mmu_split_huge_page`).
        TWO_DIMENSIONAL
    }

    boolean isTwoDimensional() {
        return paging == Paging.TWO_DIMENSIONAL;
    }
}
