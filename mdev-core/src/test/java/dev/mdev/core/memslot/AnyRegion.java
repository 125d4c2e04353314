package dev.mdev.core.memslot;

import dev.mdev.api.page.Page;
import dev.mdev.core.memslot.ReferenceSlots.Slot;

import java.util.SplittableRandom;

/// Draws requests to a machine, valid ones and ones that should be refused.
final class AnyRegion {
    static final int GFNS = 110;
    static final long HVA = 0x10_0000;
    static final int HOST_PAGES = 64;
    private static final int IDS = 14;

    /// Numbers that are at the edge of some check.
    static final long[] NASTY = {
        0,
        1,
        0x800,
        0x1000,
        0x1001,
        -0x1000,
        -0x2000,
        -1,
        Long.MIN_VALUE,
        Long.MAX_VALUE,
        0x7fff_ffff_f000L,
        0x7fff_ffff_e000L,
        0x8000_0000_0000L,
        (1L << 43) - 0x1000,
        1L << 43,
        1L << 52
    };

    private static final int[] NASTY_SLOTS = {
        32763, 32764, 32766, 32767, 65535, 1 << 16, 1 << 16 | 32764, 2 << 16, 0xffff << 16, -1
    };

    private static final int[] NASTY_FLAGS = {4, 8, 1 << 16, 1 << 17, 1 << 24, 1 << 31, -1};

    private final SlotConfig config;
    private final ReferenceSlots slots;
    private final SplittableRandom random;

    /// @param slots those there are
    AnyRegion(SlotConfig config, ReferenceSlots slots, SplittableRandom random) {
        this.config = config;
        this.slots = slots;
        this.random = random;
    }

    UserMemoryRegion sensible() {
        int asId = random.nextInt(config.addressSpaces());
        int id = random.nextInt(IDS);
        Slot old = slots.byId(asId, id);
        if (old != null && random.nextInt(4) != 0) {
            return changeOf(old);
        }
        int npages = 1 + random.nextInt(14);
        return new UserMemoryRegion(
                asId << 16 | id,
                flags(),
                Page.addressOf(random.nextInt(GFNS)),
                Page.addressOf(npages),
                HVA + Page.addressOf(random.nextInt(HOST_PAGES)));
    }

    private UserMemoryRegion changeOf(Slot old) {
        int slot = old.asId() << 16 | old.id();
        long gpa = Page.addressOf(old.gfn());
        long sizeBytes = Page.addressOf(old.npages());
        return switch (random.nextInt(5)) {
            case 0 -> UserMemoryRegion.deletionOf(slot);
            case 1 ->
                    new UserMemoryRegion(
                            slot,
                            old.flags(),
                            Page.addressOf(random.nextInt(GFNS)),
                            sizeBytes,
                            old.hva());
            case 2 ->
                    new UserMemoryRegion(
                            slot,
                            old.flags() ^ SlotFlags.LOG_DIRTY_PAGES,
                            gpa,
                            sizeBytes,
                            old.hva());
            case 3 ->
                    new UserMemoryRegion(
                            slot,
                            old.flags() ^ SlotFlags.LOG_DIRTY_PAGES,
                            Page.addressOf(random.nextInt(GFNS)),
                            sizeBytes,
                            old.hva());
            default -> new UserMemoryRegion(slot, old.flags(), gpa, sizeBytes, old.hva());
        };
    }

    /// A sensible request with one value replaced by an unpleasant one.
    UserMemoryRegion hostile() {
        UserMemoryRegion region = sensible();
        long nasty = NASTY[random.nextInt(NASTY.length)];
        int slot = region.slot();
        int flags = region.flags();
        long gpa = region.gpa();
        long sizeBytes = region.sizeBytes();
        long hva = region.hva();
        switch (random.nextInt(6)) {
            case 0 -> slot = NASTY_SLOTS[random.nextInt(NASTY_SLOTS.length)];
            case 1 -> flags = NASTY_FLAGS[random.nextInt(NASTY_FLAGS.length)];
            case 2 -> flags ^= SlotFlags.READONLY;
            case 3 -> gpa = nasty;
            case 4 -> sizeBytes = nasty;
            default -> hva = nasty;
        }
        return new UserMemoryRegion(slot, flags, gpa, sizeBytes, hva);
    }

    private int flags() {
        int flags = random.nextInt(4);
        boolean smram = config.smramFlag() && random.nextInt(4) == 0;
        return smram ? flags | SlotFlags.SMRAM : flags;
    }
}
