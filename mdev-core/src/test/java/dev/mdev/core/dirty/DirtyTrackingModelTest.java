package dev.mdev.core.dirty;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.dirty.ProtectRecorder.Batch;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotRequests;
import dev.mdev.core.support.Seeded;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;

/// Random guests and VMMs against models of what must be reported.
@Tag("slow")
class DirtyTrackingModelTest {
    private static final int SLOTS = 3;

    /// A page that a guest may write without a fault is in the log.
    @Test
    void whatIsWritableIsInTheBitmap() {
        Seeded.run(100, random -> new BitmapWorld(random).run(300));
    }

    /// A page that a guest may write without a fault is in an entry that was not reset.
    @Test
    void whatIsWritableIsInTheRing() {
        Seeded.run(100, random -> new RingWorld(random).run(300));
    }

    @Test
    void coalescingAgreesWithSetsOfPages() {
        Seeded.run(500, DirtyTrackingModelTest::coalesce);
    }

    private static final class BitmapWorld {
        private final SplittableRandom random;
        private final AddressSpaces slots = new AddressSpaces(SlotConfig.x86());
        private final DirtyModes modes = new DirtyModes(slots, DirtyHardware.x86());
        private final TinyMmu mmu = new TinyMmu(slots, modes);
        private final DirtyLog log = new DirtyLog(slots, modes, mmu);
        private final long[] npages = new long[SLOTS];

        /// Pages written since they were last taken from the log, by slot.
        private final List<Set<Long>> written = new ArrayList<>();

        BitmapWorld(SplittableRandom random) {
            this.random = random;
            slots.setBitmapPolicy(modes);
            slots.addListener(mmu);
            for (int id = 0; id < SLOTS; id++) {
                npages[id] = 1 + random.nextLong(300);
                written.add(new HashSet<>());
                set(id, random.nextInt(2), 0);
            }
        }

        private void set(int id, int flags, int place) {
            slots.setUserMemoryRegion(
                    SlotRequests.region(id, flags, id * 0x10000L + place, npages[id]));
        }

        private Memslot slot(int id) {
            return Objects.requireNonNull(slots.slotOf(id));
        }

        void run(int steps) {
            for (int i = 0; i < steps; i++) {
                step(random.nextInt(SLOTS));
                check();
            }
        }

        private void step(int id) {
            switch (random.nextInt(12)) {
                case 0 -> modes.enable(DirtyModes.MANUAL_PROTECT2, 0, random.nextLong(2) * 3);
                case 1 -> {
                    boolean logged = slot(id).logsDirty();
                    set(id, random.nextInt(2), (int) (slot(id).baseGfn() & 0xffff));
                    if (!logged || !slot(id).logsDirty()) {
                        written.get(id).clear();
                    }
                }
                case 2 -> set(id, slot(id).flags(), random.nextInt(1000));
                case 3, 4 -> get(id);
                case 5, 6 -> clear(id);
                default -> {
                    long page = random.nextLong(npages[id]);
                    mmu.write(slot(id), page, 0);
                    if (slot(id).logsDirty()) {
                        written.get(id).add(page);
                    }
                }
            }
        }

        private void get(int id) {
            if (!slot(id).logsDirty()) {
                return;
            }
            long[] words = new long[DirtyBitmap.wordsFor(npages[id])];
            log.get(id, MemorySegment.ofArray(words));
            Set<Long> missed = new TreeSet<>(written.get(id));
            missed.removeIf(page -> isSet(words, page));
            assertThat(missed).as("slot %d", id).isEmpty();
            if (!modes.isManualProtect()) {
                written.get(id).clear();
            }
        }

        private void clear(int id) {
            if (!slot(id).logsDirty()) {
                return;
            }
            long first = random.nextLong(npages[id] / 64 + 1) * 64;
            long rest = npages[id] - first;
            long count = random.nextBoolean() ? rest : rest / 64 * 64;
            long[] named = random.longs(DirtyBitmap.wordsFor(count)).toArray();
            log.clear(new DirtyLogClear(id, (int) count, first), MemorySegment.ofArray(named));
            written.get(id)
                    .removeIf(page ->
                            page >= first
                                    && page - first < named.length * 64L
                                    && isSet(named, page - first));
        }

        private static boolean isSet(long[] words, long bit) {
            return (words[(int) (bit / 64)] & 1L << bit) != 0;
        }

        private void check() {
            for (int id = 0; id < SLOTS; id++) {
                DirtyBitmap bitmap = slot(id).bitmap();
                assertThat(bitmap != null).isEqualTo(slot(id).logsDirty());
                if (bitmap == null) {
                    continue;
                }
                Set<Long> expected = new TreeSet<>(mmu.writableOf(id));
                expected.addAll(written.get(id));
                expected.removeIf(bitmap::test);
                assertThat(expected).as("slot %d", id).isEmpty();
            }
        }
    }

    private record Entry(int slot, long page) {}

    private static final class RingWorld {
        private final SplittableRandom random;
        private final RingBench bench = new RingBench();
        private final TinyMmu mmu = new TinyMmu(bench.slots, bench.modes);
        private final List<DirtyRing> rings = List.of(bench.vcpu(0), bench.vcpu(1));
        private final List<DirtyRingHarvester> harvesters =
                rings.stream().map(RingBench::harvester).toList();

        /// What was pushed and not reset, by ring.
        private final List<Deque<Entry>> pending = List.of(new ArrayDeque<>(), new ArrayDeque<>());

        private final int[] harvested = new int[2];

        RingWorld(SplittableRandom random) {
            this.random = random;
            bench.slots.addListener(mmu);
            for (int id = 0; id < SLOTS; id++) {
                bench.logged(id, 200);
            }
        }

        void run(int steps) {
            for (int i = 0; i < steps; i++) {
                step(random.nextInt(2));
                check();
            }
        }

        private void step(int vcpu) {
            switch (random.nextInt(8)) {
                case 0 -> reset();
                case 1, 2 -> harvest(vcpu);
                default -> {
                    for (int i = 0; i < 20 && !rings.get(vcpu).mustExit(); i++) {
                        write(vcpu);
                    }
                }
            }
        }

        private void write(int vcpu) {
            int id = random.nextInt(SLOTS);
            long page = random.nextLong(200);
            boolean faults = !mmu.writableOf(id).contains(page);
            mmu.write(bench.slot(id), page, vcpu);
            if (faults) {
                pending.get(vcpu).add(new Entry(id, page));
            }
        }

        private void harvest(int vcpu) {
            int limit = random.nextInt(60);
            List<Entry> expected =
                    pending.get(vcpu).stream().skip(harvested[vcpu]).limit(limit).toList();
            List<Entry> found = new ArrayList<>();
            harvesters.get(vcpu).harvest((slot, page) -> found.add(new Entry(slot, page)), limit);
            assertThat(found).isEqualTo(expected);
            harvested[vcpu] += found.size();
        }

        private void reset() {
            assertThat(bench.rings.reset(mmu)).isEqualTo(harvested[0] + harvested[1]);
            for (int vcpu = 0; vcpu < 2; vcpu++) {
                for (; harvested[vcpu] > 0; harvested[vcpu]--) {
                    pending.get(vcpu).remove();
                }
            }
        }

        private void check() {
            Set<Entry> all = new HashSet<>(pending.get(0));
            all.addAll(pending.get(1));
            for (int id = 0; id < SLOTS; id++) {
                int slot = id;
                Set<Long> missed = new TreeSet<>(mmu.writableOf(id));
                missed.removeIf(page -> all.contains(new Entry(slot, page)));
                assertThat(missed).as("slot %d", id).isEmpty();
            }
            for (int vcpu = 0; vcpu < 2; vcpu++) {
                assertThat(rings.get(vcpu).used()).isEqualTo(pending.get(vcpu).size());
                assertThat(rings.get(vcpu).overruns()).isZero();
            }
        }
    }

    /// Entries near each other, some of them garbage, against a model that keeps a batch as a set.
    private static void coalesce(SplittableRandom random) {
        RingBench bench = new RingBench();
        DirtyRing ring = bench.vcpu(0);
        long npages = 1 + random.nextLong(400);
        bench.logged(0, npages);
        bench.logged(1, npages);
        List<Batch> expected = new ArrayList<>();
        SetBatch batch = new SetBatch(npages, expected);
        long page = random.nextLong(npages);
        int count = random.nextInt(RingBench.ENTRIES);
        for (int i = 0; i < count; i++) {
            int slot = random.nextInt(12) == 0 ? random.nextInt(3) : 0;
            page +=
                    switch (random.nextInt(40)) {
                        case 0 -> random.nextLong();
                        case 1 -> -page;
                        case 2, 3, 4 -> random.nextInt(300) - 150;
                        default -> random.nextInt(40) - 20;
                    };
            ring.push(slot, page);
            batch.add(slot, page);
        }
        batch.finish();
        bench.harvest(ring);
        assertThat(bench.reset()).isEqualTo(count);
        assertThat(bench.protector.batches).isEqualTo(expected);
    }

    private static final class SetBatch {
        private final long npages;
        private final List<Batch> batches;
        private final TreeSet<Long> distances = new TreeSet<>();
        private int slot;
        private long base;

        SetBatch(long npages, List<Batch> batches) {
            this.npages = npages;
            this.batches = batches;
        }

        void add(int nextSlot, long page) {
            long distance = page - base;
            if (!distances.isEmpty() && slot == nextSlot && Math.abs(distance) < 64) {
                if (distance >= 0) {
                    distances.add(distance);
                    return;
                }
                if (distances.last() - distance < 64) {
                    List<Long> shifted = distances.stream().map(d -> d - distance).toList();
                    distances.clear();
                    distances.addAll(shifted);
                    distances.add(0L);
                    base = page;
                    return;
                }
            }
            finish();
            slot = nextSlot;
            base = page;
            distances.add(0L);
        }

        void finish() {
            boolean inside =
                    slot < 2
                            && !distances.isEmpty()
                            && base >= 0
                            && base < npages
                            && base + distances.last() < npages;
            if (inside) {
                long mask = 0;
                for (long distance : distances) {
                    mask |= 1L << distance;
                }
                batches.add(new Batch(slot, base, mask));
            }
            distances.clear();
        }
    }
}
