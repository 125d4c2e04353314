package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.engine.software.SoftwareGuest;
import dev.mdev.core.engine.software.SoftwareVcpu;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtyLogClear;
import dev.mdev.core.memslot.DirtyModes;
import dev.mdev.core.memslot.DirtyRingHarvester;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.support.Seeded;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.function.Supplier;

/// The same random requests and guest accesses to the kernel and to our model: every error number,
/// every exit, every loaded value, every dirty bit and every ring entry must be the same.
@ExtendWith(RealKvm.class)
class KvmOracleTest {
    private static final int STEPS = Integer.getInteger("mdev.kvm.oracleSteps", 1500);
    private static final int NPAGES = 320;

    /// Guest frames that slots and accesses are in, so that they meet.
    private static final long GFNS = 400;

    /// Pages of the largest slot that is kept.
    private static final long MAX_PAGES = 1024;

    /// Ids that a VMM may use, and some that it may not. Not the highest: that is the stub's.
    private static final int[] SLOTS = {0, 1, 2, 3, 4, 32762, 32764, 32766, 32767, 65535, 1 << 16};

    @Test
    void slotsAccessesAndDirtyBitmapsAreAsInTheKernel() {
        Seeded.run(
                2,
                random -> {
                    try (Pair pair = new Pair(0)) {
                        for (int step = 0; step < STEPS; step++) {
                            bitmapStep(pair, random);
                        }
                        pair.compareMemory();
                        assertThat(pair.succeeded).as("requests that succeed").isGreaterThan(50);
                    }
                });
    }

    /// Three bits of four.
    private static long manyBits(SplittableRandom random) {
        long some = random.nextLong();
        return some | random.nextLong();
    }

    private static void bitmapStep(Pair pair, SplittableRandom random) {
        switch (random.nextInt(12)) {
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
                    try (Pair pair = new Pair(Page.SIZE)) {
                        for (int step = 0; step < STEPS; step++) {
                            ringStep(pair, random);
                        }
                        pair.compareMemory();
                        harvested[0] += pair.ringEntries;
                    }
                });
        assertThat(harvested[0]).as("entries that were compared").isGreaterThan(50);
    }

    private static void ringStep(Pair pair, SplittableRandom random) {
        switch (random.nextInt(16)) {
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
                    pair.access(
                            random.nextInt(4) == 0 ? Access.READ : Access.WRITE,
                            Page.addressOf(random.nextLong(GFNS)),
                            8,
                            random.nextLong());
                }
            }
        }
    }

    /// Every refusal of a ring, in the order the kernel has them; none is ever enabled but the
    /// last.
    @Test
    void ringSizesAreRefusedAsInTheKernel() {
        try (Pair pair = new Pair(0)) {
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
                    // A virtual processor is there, so the sizes that are good are too late.
                    pair.enable(capability, size);
                }
            }
            pair.enable(DirtyModes.RING_WITH_BITMAP, 0);
            pair.enable(DirtyModes.MANUAL_PROTECT, 1);
            pair.reset();
        }
    }

    private static int anySlot(SplittableRandom random) {
        return random.nextInt(5) == 0 ? SLOTS[random.nextInt(SLOTS.length)] : random.nextInt(4);
    }

    private static UserMemoryRegion anyRegion(Pair pair, SplittableRandom random) {
        int slot = anySlot(random);
        @Nullable UserMemoryRegion former = pair.former(slot);
        if (former != null && random.nextInt(2) == 0) {
            return changeOf(former, random);
        }
        if (random.nextInt(8) == 0) {
            return new UserMemoryRegion(
                    slot,
                    anyFlags(random),
                    hostile(random, Page.addressOf(random.nextLong(GFNS))),
                    hostile(random, Page.addressOf(random.nextLong(80))),
                    hostile(random, Page.addressOf(random.nextLong(NPAGES))));
        }
        return new UserMemoryRegion(
                slot,
                random.nextInt(4) == 0 ? anyFlags(random) : random.nextInt(2),
                Page.addressOf(random.nextLong(GFNS)),
                Page.addressOf(random.nextInt(6) == 0 ? 0 : 1 + random.nextLong(100)),
                Page.addressOf(random.nextLong(NPAGES)));
    }

    /// Legal and nearly legal changes of a slot that is there.
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

    private static void anyAccess(Pair pair, SplittableRandom random) {
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

    /// The kernel and our model side by side.
    private static final class Pair implements AutoCloseable {
        private final Arena arena = Arena.ofShared();
        private final KvmOracle kernel;
        private final HostMemory hostMemory = new HostMemory(new OffHeapBackend());
        private final HostMemory.Block block = hostMemory.allocate("model", NPAGES);
        private final AddressSpaces slots;
        private final SoftwareGuest guest;
        private final SoftwareVcpu vcpu;
        private final long modelHva;
        private final List<MemorySegment> rings = new ArrayList<>();
        private final List<DirtyRingHarvester> harvesters = new ArrayList<>();

        /// What was done last, for failures.
        private final ArrayDeque<String> history = new ArrayDeque<>();

        private final @Nullable UserMemoryRegion[] present = new UserMemoryRegion[8];
        int succeeded;
        int ringEntries;

        Pair(int ringBytes) {
            kernel = new KvmOracle(NPAGES, ringBytes);
            slots = new AddressSpaces(kernel.config());
            guest = new SoftwareEngine(Duration.ofSeconds(10)).createGuest(slots, hostMemory);
            modelHva = guest.hostMm().mapEagerly(block.pfns(), Prot.READ_WRITE).range().startHva();
            if (ringBytes != 0) {
                guest.dirtyModes().enable(DirtyModes.RING, 0, ringBytes);
            }
            vcpu = guest.createVcpu(0);
            if (ringBytes != 0) {
                rings.add(kernel.ring());
                rings.add(Objects.requireNonNull(guest.dirtyRings().ringOf(0)).memory());
                rings.forEach(ring -> harvesters.add(new DirtyRingHarvester(ring)));
            }
        }

        /// @param region its host address counts from the start of guest memory, unless it is far
        void set(UserMemoryRegion region) {
            int theirs = kernel.set(at(region, kernel.hva()));
            int ours = errnoOf(() -> slots.setUserMemoryRegion(at(region, modelHva)));
            agree("set " + region, ours, theirs);
            if (theirs == 0) {
                succeeded++;
                if (region.slot() >= 0 && region.slot() < present.length) {
                    present[region.slot()] = region.sizeBytes() == 0 ? null : region;
                }
                if (region.sizeBytes() > Page.bytesOf(MAX_PAGES)) {
                    // Its log would not fit the buffers of the calls below.
                    set(UserMemoryRegion.deletionOf(region.slot()));
                }
            }
        }

        @Nullable UserMemoryRegion former(int slot) {
            return slot >= 0 && slot < present.length ? present[slot] : null;
        }

        private static UserMemoryRegion at(UserMemoryRegion region, long base) {
            // What is too large is judged by where it would end, so it begins at the same address.
            long most = Page.bytesOf(2 * NPAGES);
            boolean near =
                    region.hva() >= 0
                            && region.hva() < most
                            && Long.compareUnsigned(region.sizeBytes(), most) <= 0;
            return new UserMemoryRegion(
                    region.slot(),
                    region.flags(),
                    region.gpa(),
                    region.sizeBytes(),
                    near ? base + region.hva() : region.hva());
        }

        void get(int slot, boolean unwritable) {
            MemorySegment theirs = arena.allocate(MAX_PAGES / Byte.SIZE, Long.BYTES);
            MemorySegment ours = arena.allocate(MAX_PAGES / Byte.SIZE, Long.BYTES);
            int theirErrno =
                    kernel.getDirtyLog(slot, unwritable ? MemorySegment.ofAddress(8) : theirs);
            int ourErrno =
                    errnoOf(() ->
                            guest.dirtyLog().get(slot, unwritable ? MemorySegment.NULL : ours));
            agree("get slot=0x%x unwritable=%s".formatted(slot, unwritable), ourErrno, theirErrno);
            agree("dirty pages of it", KvmOracle.words(ours), KvmOracle.words(theirs));
        }

        void clear(DirtyLogClear part, long bits) {
            MemorySegment named = arena.allocate(MAX_PAGES / Byte.SIZE, Long.BYTES);
            for (long at = 0; at < named.byteSize(); at += Long.BYTES) {
                named.set(ValueLayout.JAVA_LONG, at, Long.rotateLeft(bits, (int) at));
            }
            agree(
                    "clear " + part,
                    errnoOf(() -> guest.dirtyLog().clear(part, named)),
                    kernel.clearDirtyLog(part, named));
        }

        void enable(int capability, long value) {
            agree(
                    "enable capability=%d value=0x%x".formatted(capability, value),
                    errnoOf(() -> guest.dirtyModes().enable(capability, 0, value)),
                    kernel.enableCap(capability, value));
        }

        void access(Access access, long gpa, int width, long value) {
            List<Long> theirValues = new ArrayList<>();
            List<Long> ourValues = new ArrayList<>();
            List<String> theirs = kernel.access(access, gpa, width, value, theirValues);
            List<String> ours = modelAccess(access, gpa, width, value, ourValues);
            agree(access + " gpa=0x%x width=%d".formatted(gpa, width), ours, theirs);
            agree("loaded", ourValues, theirValues);
            if (theirs.getLast().equals("EFAULT") && access == Access.WRITE) {
                forgiveHalfAStore(gpa, width);
            }
        }

        /// A processor looks at both pages of a store before it stores anything; the model takes
        /// one page after the other, as the kernel's emulator does. So if the second page fails,
        /// the model has stored what goes to the first. That is the one difference between the two.
        private void forgiveHalfAStore(long gpa, int width) {
            int first = Page.SIZE - Page.offsetOf(gpa);
            Memslot slot = slots.find(Page.numberOf(gpa));
            if (first >= width || slot == null || slot.isReadonly()) {
                return;
            }
            long offset = slot.hvaOf(Page.numberOf(gpa)) - modelHva + Page.offsetOf(gpa);
            if (offset >= 0 && offset < kernel.memory().byteSize()) {
                MemorySegment.copy(kernel.memory(), offset, block.segment(), offset, first);
            }
        }

        private List<String> modelAccess(
                Access access, long gpa, int width, long value, List<Long> loaded) {
            GuestAccess.Span span = new GuestAccess.Span(gpa, width, 1, 0);
            vcpu.submit(
                    access == Access.READ
                            ? new GuestAccess.Load(span, (_, v) -> loaded.add(v))
                            : new GuestAccess.Store(span, value, 0));
            List<String> exits = new ArrayList<>();
            while (true) {
                switch (vcpu.run()) {
                    case VcpuExit.Done _ -> {
                        exits.add("done");
                        return exits;
                    }
                    case VcpuExit.MmioRead read -> {
                        exits.add("load 0x%x/%d".formatted(read.gpa(), read.widthBytes()));
                        vcpu.completeMmioRead(0);
                    }
                    case VcpuExit.MmioWrite write ->
                            exits.add(
                                    "store 0x%x/%d=0x%x"
                                            .formatted(
                                                    write.gpa(),
                                                    write.widthBytes(),
                                                    write.value()));
                    case VcpuExit.Fault fault -> {
                        exits.add(fault.errno().name());
                        return exits;
                    }
                    case VcpuExit.DirtyRingFull _ -> {
                        exits.add("ring full");
                        return exits;
                    }
                    case VcpuExit.Interrupted _ -> throw new AssertionError("nobody kicks");
                }
            }
        }

        void harvest(int limit) {
            List<List<String>> both = new ArrayList<>();
            for (DirtyRingHarvester harvester : harvesters) {
                List<String> entries = new ArrayList<>();
                harvester.harvest(
                        (slot, page) -> entries.add("slot=0x%x page=%d".formatted(slot, page)),
                        limit);
                both.add(entries);
            }
            ringEntries += both.getFirst().size();
            agree("harvest limit=" + limit, both.getLast(), both.getFirst());
        }

        /// Marks an entry as harvested out of turn, or rewrites one, in both rings alike.
        void tamper(SplittableRandom random) {
            long at = random.nextLong(rings.getFirst().byteSize() / 16) * 16;
            int kind = random.nextInt(3);
            int slot = random.nextInt(3) == 0 ? random.nextInt() : random.nextInt(4);
            long offset = random.nextInt(3) == 0 ? random.nextLong() : random.nextLong(100);
            for (MemorySegment ring : rings) {
                if (ring.get(ValueLayout.JAVA_INT, at) == 0) {
                    return;
                }
                switch (kind) {
                    case 0 -> ring.set(ValueLayout.JAVA_INT, at, 2);
                    case 1 -> ring.set(ValueLayout.JAVA_INT, at + 4, slot);
                    default -> ring.set(ValueLayout.JAVA_LONG, at + 8, offset);
                }
            }
            history.add("tamper at=%d kind=%d slot=%d offset=%d".formatted(at, kind, slot, offset));
        }

        void reset() {
            int theirs = kernel.resetDirtyRings();
            int ours = valueOrErrno(guest::resetDirtyRings);
            agree("reset", ours, theirs);
        }

        void compareMemory() {
            agree(
                    "first byte of memory that differs",
                    -1L,
                    block.segment().mismatch(kernel.memory()));
        }

        private void agree(String what, Object ours, Object theirs) {
            history.add(what + " -> " + theirs);
            if (history.size() > 40) {
                history.removeFirst();
            }
            if (!ours.equals(theirs)) {
                throw new AssertionError(
                        "%s: ours=%s kernel=%s after%n%s"
                                .formatted(
                                        what,
                                        ours,
                                        theirs,
                                        String.join(System.lineSeparator(), history)));
            }
        }

        private static int errnoOf(Runnable request) {
            return -valueOrErrno(() -> {
                request.run();
                return 0;
            });
        }

        private static int valueOrErrno(Supplier<Integer> request) {
            try {
                return request.get();
            } catch (MdevException e) {
                assertThat(e.errno()).isNotEqualTo(Errno.EIO);
                return -e.errno().code();
            }
        }

        @Override
        public void close() {
            vcpu.close();
            guest.close();
            hostMemory.close();
            kernel.close();
            arena.close();
        }
    }
}
