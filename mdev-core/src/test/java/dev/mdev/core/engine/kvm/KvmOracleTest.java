package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.dirty.DirtyLogClear;
import dev.mdev.core.dirty.DirtyModes;
import dev.mdev.core.engine.kvm.kernel.KvmVm;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.guestmem.HostMemoryAccess;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.mmu.MmuRules.Paging;
import dev.mdev.core.support.Seeded;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.core.x86.InternalMemory;
import dev.mdev.core.x86.InternalSlots;
import dev.mdev.core.x86.VendorModel;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

import java.util.SplittableRandom;

/// The same random requests and guest accesses to the kernel and to our model: every error number,
/// every exit, every loaded value, every dirty bit and every ring entry must be the same.
@RealKvm
@Tag("slow")
class KvmOracleTest {
    private static final int STEPS = Integer.getInteger("mdev.kvm.oracleSteps", 1500);

    /// Guest frames that slots and accesses are in, so that they meet.
    private static final long GFNS = 400;

    /// Ids that a VMM may use, and some that it may not. Not the highest: that is the stub's.
    private static final int[] SLOTS = {0, 1, 2, 3, 4, 32762, 32764, 32766, 32767, 65535, 1 << 16};

    @Test
    void slotsAccessesAndDirtyBitmapsAreAsInTheKernel() {
        Seeded.run(
                2,
                random -> {
                    try (KernelAndModel pair = new KernelAndModel(0)) {
                        for (int step = 0; step < STEPS; step++) {
                            bitmapStep(pair, random);
                        }
                        pair.compareMemory();
                        assertThat(pair.succeeded).as("requests that succeed").isGreaterThan(50);
                    }
                });
    }

    /// With two-dimensional paging, a load of a page that is still mapped marks nothing.
    @Test
    void withoutTheQuirkADeletionKeepsOtherMappingsAsInTheKernel() {
        Seeded.run(
                2,
                random -> {
                    try (KernelAndModel pair = new KernelAndModel(0, false, false)) {
                        for (int step = 0; step < STEPS / 2; step++) {
                            bitmapStep(pair, random);
                        }
                        pair.compareMemory();
                    }
                });
    }

    private static void bitmapStep(KernelAndModel pair, SplittableRandom random) {
        switch (random.nextInt(13)) {
            case 12 -> pair.writeWallClock(anyClock(random));
            case 0, 1, 2 -> pair.set(anyRegion(pair, random));
            case 3 -> pair.get(anySlot(random), random.nextInt(8) == 0);
            case 4 -> pair.clear(anyClear(random), manyBits(random));
            case 5 -> {
                if (random.nextInt(4) == 0) {
                    pair.enable(DirtyModes.MANUAL_PROTECT2, random.nextInt(6));
                }
            }
            default -> anyAccess(pair, random);
        }
    }

    @Test
    void dirtyRingsAreAsInTheKernel() {
        int[] harvested = new int[1];
        Seeded.run(
                2,
                random -> {
                    try (KernelAndModel pair = new KernelAndModel(Page.SIZE)) {
                        for (int step = 0; step < STEPS; step++) {
                            ringStep(pair, random);
                        }
                        pair.compareMemory();
                        harvested[0] += pair.ringEntries;
                    }
                });
        assertThat(harvested[0]).as("entries that were compared").isGreaterThan(50);
    }

    private static void ringStep(KernelAndModel pair, SplittableRandom random) {
        switch (random.nextInt(18)) {
            case 17 -> pair.enable(DirtyModes.MANUAL_PROTECT2, random.nextInt(protections()));
            case 16 -> pair.writeWallClock(anyClock(random));
            case 0 -> pair.set(anyRegion(pair, random));
            case 1 -> pair.get(anySlot(random), false);
            case 2 -> pair.clear(anyClear(random), random.nextLong());
            case 3 -> pair.harvest(random.nextInt(40));
            case 4 -> pair.reset();
            case 5 -> {
                if (random.nextInt(8) == 0) {
                    pair.tamper(random);
                }
            }
            default -> {
                for (int i = 0; i < 4; i++) {
                    anyAccess(pair, random);
                }
            }
        }
    }

    /// Beside a ring, initially set bitmaps make the kernel lose the writes to pages that are
    /// mapped already. Shadow paging maps neighbours of a touched page, too (`pte_prefetch`), so
    /// which ones it loses is compared only where the TDP MMU maps.
    private static int protections() {
        return KvmOracle.paging() == Paging.TWO_DIMENSIONAL ? 4 : 2;
    }

    /// Which bits may be given, and that flags may not.
    @Test
    void manualProtectionIsRefusedAsInTheKernel() {
        try (KernelAndModel pair = new KernelAndModel(0)) {
            for (int flags : new int[] {0, 1, -1}) {
                for (long value : new long[] {0, 1, 2, 3, 4, 5, 7, 1L << 32, (1L << 32) | 1, -1}) {
                    pair.enable(DirtyModes.MANUAL_PROTECT2, flags, value);
                    pair.enable(DirtyModes.RING, flags, value * Page.SIZE);
                    pair.enable(DirtyModes.RING_WITH_BITMAP, flags, value);
                }
            }
        }
    }

    /// Requests to a machine before and after its first processor. (A processor that needs the
    /// pages would get them: such a processor is not compared.)
    @Test
    void addressesOfInternalSlotsAreRefusedAsInTheKernel() {
        AddressSpaces slots = new AddressSpaces(SlotConfig.withoutSmm());
        try (KvmVm vm = KvmVm.create(Syscalls.ofThisProcess());
                HostMemory memory = new HostMemory(new OffHeapBackend());
                InternalSlots model =
                        new InternalSlots(
                                slots, VendorModel.NONE, new NoMemory(), hostOf(slots, memory))) {
            assumeTrue(KvmOracle.setTssAddress(vm, 0x1234) == 0, "real mode needs help here");
            compareAddresses(vm, model);
            try (NativeFd _ = vm.createVcpu(0)) {
                model.addVcpu(false);
                compareAddresses(vm, model);
            }
        }
    }

    /// A processor that needs no pages never asks for memory.
    private static final class NoMemory implements InternalMemory {
        @Override
        public long map(long sizeBytes) {
            throw new AssertionError("sizeBytes=" + sizeBytes);
        }

        @Override
        public void unmap(long hva, long sizeBytes) {
            throw new AssertionError("hva=" + hva);
        }
    }

    private static HostMemoryAccess hostOf(AddressSpaces slots, HostMemory memory) {
        return new SoftwareEngine(Deadlines.HANG).createGuest(slots, memory).hostMemory();
    }

    private static void compareAddresses(KvmVm vm, InternalSlots model) {
        long[] gpas = {
            0, 0x1000, 0x1234, 0xffff_cfffL, 0xffff_d000L, 0xffff_d001L, 0xffff_ffffL, 1L << 32, -1
        };
        for (long gpa : gpas) {
            assertThat(KernelAndModel.errnoOf(() -> model.setTssAddress(gpa)))
                    .as("tss at 0x%x", gpa)
                    .isEqualTo(KvmOracle.setTssAddress(vm, gpa));
            assertThat(KernelAndModel.errnoOf(() -> model.setIdentityMapAddress(gpa)))
                    .as("identity map at 0x%x", gpa)
                    .isEqualTo(KvmOracle.setIdentityMapAddress(vm, gpa));
        }
    }

    /// What the page of half an access can be.
    private enum Behind {
        MEMORY,
        READ_ONLY_MEMORY,
        NOTHING,
        UNMAPPED_HOST_MEMORY,
        READ_ONLY_HOST_MEMORY
    }

    /// An access that crosses pages, for each pair of what can be behind the two.
    @Test
    void accessesThatCrossPagesAreAsInTheKernel() {
        for (Access access : Access.values()) {
            try (KernelAndModel pair = new KernelAndModel(0)) {
                int gfn = 1;
                for (Behind first : Behind.values()) {
                    for (Behind second : Behind.values()) {
                        put(pair, gfn, first);
                        put(pair, gfn + 1, second);
                        for (int bytes = 1; bytes < Long.BYTES; bytes += 2) {
                            long gpa = Page.addressOf(gfn + 1L) - bytes;
                            pair.access(access, gpa, Long.BYTES, 0x1122334455667788L * bytes);
                        }
                        pair.get(gfn, false);
                        pair.get(gfn + 1, false);
                        pair.compareMemory();
                        gfn += 3;
                    }
                }
            }
        }
    }

    private static void put(KernelAndModel pair, int gfn, Behind behind) {
        if (behind == Behind.NOTHING) {
            return;
        }
        long hva =
                switch (behind) {
                    case MEMORY, READ_ONLY_MEMORY, NOTHING -> Page.addressOf(gfn);
                    case UNMAPPED_HOST_MEMORY -> Page.addressOf(KernelAndModel.NPAGES + gfn);
                    case READ_ONLY_HOST_MEMORY -> KernelAndModel.READONLY_HVA + Page.addressOf(gfn);
                };
        pair.set(
                new UserMemoryRegion(
                        gfn,
                        behind == Behind.READ_ONLY_MEMORY ? 3 : 1,
                        Page.addressOf(gfn),
                        Page.SIZE,
                        hva));
    }

    /// Every refusal of a ring, in the kernel's order; only the last one is enabled.
    @Test
    void ringSizesAreRefusedAsInTheKernel() {
        try (KernelAndModel pair = new KernelAndModel(0)) {
            for (int capability : new int[] {DirtyModes.RING, DirtyModes.RING_ACQ_REL}) {
                for (long size :
                        new long[] {
                            0,
                            1,
                            16,
                            1024,
                            2048,
                            4096,
                            4097,
                            5000,
                            6144,
                            8192,
                            1 << 20,
                            1 << 21,
                            1L << 32,
                            (1L << 32) + 4096,
                            -1,
                            Long.MIN_VALUE
                        }) {
                    // There is a virtual processor, so valid sizes are too late.
                    pair.enable(capability, size);
                }
            }
            pair.enable(DirtyModes.RING_WITH_BITMAP, 0);
            pair.enable(DirtyModes.MANUAL_PROTECT, 1);
            pair.reset();
        }
    }

    /// Three bits of four.
    private static long manyBits(SplittableRandom random) {
        long some = random.nextLong();
        return some | random.nextLong();
    }

    private static int anySlot(SplittableRandom random) {
        return random.nextInt(5) == 0 ? SLOTS[random.nextInt(SLOTS.length)] : random.nextInt(4);
    }

    private static UserMemoryRegion anyRegion(KernelAndModel pair, SplittableRandom random) {
        int slot = anySlot(random);
        UserMemoryRegion former = pair.former(slot);
        if (former != null && random.nextInt(2) == 0) {
            return changeOf(former, random);
        }
        if (random.nextInt(8) == 0) {
            return new UserMemoryRegion(
                    slot,
                    anyFlags(random),
                    hostile(random, Page.addressOf(random.nextLong(GFNS))),
                    hostile(random, Page.addressOf(random.nextLong(80))),
                    hostile(random, anyHva(random)));
        }
        return new UserMemoryRegion(
                slot,
                random.nextInt(4) == 0 ? anyFlags(random) : random.nextInt(2),
                Page.addressOf(random.nextLong(GFNS)),
                Page.addressOf(random.nextInt(6) == 0 ? 0 : 1 + random.nextLong(100)),
                anyHva(random));
    }

    private static long anyHva(SplittableRandom random) {
        return Page.addressOf(random.nextLong(KernelAndModel.NPAGES))
                + (random.nextInt(8) == 0 ? KernelAndModel.READONLY_HVA : 0);
    }

    /// Legal and nearly legal changes of an existing slot.
    private static UserMemoryRegion changeOf(UserMemoryRegion was, SplittableRandom random) {
        int flags = random.nextInt(2) == 0 ? was.flags() : was.flags() ^ 1;
        return switch (random.nextInt(8)) {
            case 0 -> was;
            case 1, 2 ->
                    new UserMemoryRegion(was.slot(), flags, was.gpa(), was.sizeBytes(), was.hva());
            case 3, 4 ->
                    new UserMemoryRegion(
                            was.slot(),
                            flags,
                            Page.addressOf(random.nextLong(GFNS)),
                            was.sizeBytes(),
                            was.hva());
            case 5 ->
                    new UserMemoryRegion(
                            was.slot(), flags, was.gpa(), was.sizeBytes() + Page.SIZE, was.hva());
            case 6 ->
                    new UserMemoryRegion(
                            was.slot(), flags ^ 2, was.gpa(), was.sizeBytes(), was.hva());
            default -> new UserMemoryRegion(was.slot(), flags, was.gpa(), 0, was.hva());
        };
    }

    private static int anyFlags(SplittableRandom random) {
        return random.nextInt(3) == 0 ? 1 << random.nextInt(32) : random.nextInt(4);
    }

    /// A number that a VMM should not have used. As a host address it is absolute, and where the
    /// kernel accepts it nothing is mapped.
    private static long hostile(SplittableRandom random, long good) {
        return switch (random.nextInt(10)) {
            case 0 -> good + 1 + random.nextInt(Page.SIZE - 1);
            case 1 -> -1L;
            case 2 -> -Page.SIZE;
            case 3 -> Long.MIN_VALUE;
            case 4 -> 1L << (12 + random.nextInt(52));
            case 5 -> (1L << (30 + random.nextInt(34))) - Page.SIZE;
            default -> good;
        };
    }

    private static DirtyLogClear anyClear(SplittableRandom random) {
        long first = random.nextInt(3) == 0 ? random.nextLong(200) : random.nextInt(3) * 64L;
        int npages = random.nextInt(3) == 0 ? random.nextInt(200) : random.nextInt(3) * 64;
        return new DirtyLogClear(
                anySlot(random),
                random.nextInt(30) == 0 ? -1 : npages,
                random.nextInt(30) == 0 ? random.nextLong() : first);
    }

    /// Often one that crosses pages.
    private static long anyClock(SplittableRandom random) {
        long offset = random.nextBoolean() ? 4 * random.nextLong(1021) : Page.SIZE - 8;
        return Page.addressOf(random.nextLong(GFNS)) + offset;
    }

    private static void anyAccess(KernelAndModel pair, SplittableRandom random) {
        int width = 1 << random.nextInt(4);
        long offset =
                random.nextInt(6) == 0
                        ? Page.SIZE - 1 - random.nextInt(width)
                        : random.nextInt(Page.SIZE / 8) * 8L;
        pair.access(
                random.nextInt(3) == 0 ? Access.READ : Access.WRITE,
                Page.addressOf(random.nextLong(GFNS)) + offset,
                width,
                random.nextLong());
    }
}
