package dev.mdev.core.engine.software;

import dev.mdev.core.dirty.DirtyHardware;
import dev.mdev.core.mmu.MmuRules;
import dev.mdev.core.mmu.MmuRules.Paging;

/// The machine that the software engine plays, where real ones differ.
///
/// @param mmu which of KVM's MMUs, and when it drops mappings
/// @param dirtyHardware what dirty tracking finds
/// @param ringDefects whether rings lose the writes that Linux loses, see
///   [dev.mdev.core.dirty.DirtyModes]
/// @param physicalAddressBits bits of a guest-physical address
public record SoftwareOptions(
        MmuRules mmu, DirtyHardware dirtyHardware, boolean ringDefects, int physicalAddressBits) {
    /// x86 with shadow paging, without page modification logging, and no write lost.
    public static final SoftwareOptions DEFAULT =
            new SoftwareOptions(MmuRules.DEFAULT, DirtyHardware.x86(), false, 52);

    /// The same, with another MMU.
    public SoftwareOptions with(Paging paging) {
        return new SoftwareOptions(
                new MmuRules(paging, mmu.zapAllOnRemoval()),
                dirtyHardware,
                ringDefects,
                physicalAddressBits);
    }

    /// The same, with EPT or NPT.
    public SoftwareOptions withTwoDimensionalPaging() {
        return with(Paging.TWO_DIMENSIONAL);
    }

    /// The same, on other hardware.
    public SoftwareOptions with(DirtyHardware hardware) {
        return new SoftwareOptions(mmu, hardware, ringDefects, physicalAddressBits);
    }

    /// The same, on a processor that logs the pages it writes (PML).
    public SoftwareOptions withPageModificationLogging() {
        return with(DirtyHardware.x86WithPml());
    }

    /// The same, but a deletion or a move of a slot drops only its own mappings (Linux with
    /// `KVM_X86_QUIRK_SLOT_ZAP_ALL` disabled).
    public SoftwareOptions withoutZapAll() {
        return new SoftwareOptions(
                new MmuRules(mmu.paging(), false), dirtyHardware, ringDefects, physicalAddressBits);
    }

    /// The same, with other guest-physical addresses.
    public SoftwareOptions withPhysicalAddressBits(int bits) {
        return new SoftwareOptions(mmu, dirtyHardware, ringDefects, bits);
    }

    /// The same, with Linux's defects of rings.
    public SoftwareOptions withRingDefects() {
        return new SoftwareOptions(mmu, dirtyHardware, true, physicalAddressBits);
    }
}
