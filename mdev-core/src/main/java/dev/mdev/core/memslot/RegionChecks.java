package dev.mdev.core.memslot;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

/// The checks of a request that need no slot: Linux `kvm_vm_ioctl_set_memory_region` and the first
/// half of `__kvm_set_memory_region`, in their order.
final class RegionChecks {
    private static final long MAX_USER_NPAGES = (1L << 31) - 1;

    private final SlotConfig config;
    private final int legalFlags;

    RegionChecks(SlotConfig config) {
        this.config = config;
        this.legalFlags =
                SlotFlags.LOG_DIRTY_PAGES
                        | SlotFlags.READONLY
                        | (config.smramFlag() ? SlotFlags.SMRAM : 0);
    }

    /// The checks of a VMM's request before the slots lock is taken.
    void checkFromVmm(UserMemoryRegion region) {
        require((region.flags() & ~legalFlags) == 0, region, "unknown flags");
        require(
                UserMemoryRegion.idOf(region.slot()) < SlotIds.USER_SLOTS,
                region,
                "the id is out of range for a VMM");
    }

    /// The checks under the slots lock, before the slot is looked up.
    void check(UserMemoryRegion region) {
        long sizeBytes = region.sizeBytes();
        require((region.flags() & ~legalFlags) == 0, region, "unknown flags");
        require(Page.isAligned(sizeBytes), region, "size is not in pages");
        require(Page.isAligned(region.gpa()), region, "gpa is not aligned");
        require(
                Page.isAligned(region.hva()) && isUserSpace(region.hva(), sizeBytes),
                region,
                "hva is not aligned or not user space");
        require(
                UserMemoryRegion.asIdOf(region.slot()) < config.addressSpaces()
                        && UserMemoryRegion.idOf(region.slot()) < SlotIds.ALL_SLOTS,
                region,
                "no such slot");
        require(
                Long.compareUnsigned(region.gpa() + sizeBytes, region.gpa()) >= 0,
                region,
                "gpas wrap");
        require(
                UserMemoryRegion.idOf(region.slot()) >= SlotIds.USER_SLOTS
                        || Page.numberOf(sizeBytes) <= MAX_USER_NPAGES,
                region,
                "too many pages");
    }

    /// The last check, of a region that passed all others and is not empty.
    void checkReach(UserMemoryRegion region) {
        long lastGfn = Page.numberOf(region.gpa() + region.sizeBytes() - 1);
        require(lastGfn <= config.maxGfn(), region, "gfn too high");
    }

    private boolean isUserSpace(long hva, long sizeBytes) {
        long limit = config.hvaLimit();
        return Long.compareUnsigned(sizeBytes, limit) <= 0
                && Long.compareUnsigned(hva, limit - sizeBytes) <= 0;
    }

    static void require(boolean holds, UserMemoryRegion region, String otherwise) {
        if (!holds) {
            throw refused(Errno.EINVAL, region, otherwise);
        }
    }

    static MdevException refused(Errno errno, UserMemoryRegion region, String why) {
        return new MdevException(errno, why + ": " + region);
    }
}
