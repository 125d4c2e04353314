package dev.mdev.core.dirty;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.support.Together;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicBoolean;

/// Real threads: guests that write, a VMM that collects and copies. When all is over, the copy is
/// what was written. Mistakes are planted to show that the test can fail.
@Timeout(value = 900, threadMode = ThreadMode.SEPARATE_THREAD)
@Tag("slow")
class DirtyRaceTest {
    private static final int WRITES = 100_000 * Integer.getInteger("mdev.rounds", 1);

    private static final long RESETS = 200_000L * Integer.getInteger("mdev.rounds", 1);

    /// How a planted machine is wrong.
    private enum Mistake {
        NONE,
        /// Pages are not protected again.
        NO_PROTECTION
    }

    @Test
    void whatWasWrittenUnderABitmapIsCopied() throws Exception {
        assertThat(lostUnderBitmap(Mistake.NONE)).isZero();
    }

    @Test
    void aPlantedMistakeUnderABitmapIsFound() {
        Together.untilFound(() -> lostUnderBitmap(Mistake.NO_PROTECTION) > 0);
    }

    @Test
    void whatWasWrittenUnderRingsIsCopied() throws Exception {
        assertThat(lostUnderRings(Mistake.NONE)).isZero();
    }

    @Test
    void aPlantedMistakeUnderRingsIsFound() {
        Together.untilFound(() -> lostUnderRings(Mistake.NO_PROTECTION) > 0);
    }

    @Test
    void entriesArriveWholeAndInOrder() throws Exception {
        RingBench bench = new RingBench();
        DirtyRing ring = bench.vcpu(0);
        Producer producer =
                at -> {
                    if (ring.isSoftFull()) {
                        return false;
                    }
                    ring.push((int) at, at * 3);
                    return true;
                };
        assertThat(torn(ring.memory(), producer, bench::reset)).isZero();
    }

    @Test
    void aProducerThatPublishesBeforeItFillsIsFound() {
        Together.untilFound(() -> tornByHastyProducer() > 0);
    }

    private static int tornByHastyProducer() {
        SplittableRandom random = new SplittableRandom(1);
        MemorySegment memory = RingBench.allocate(RingBench.SIZE_BYTES);
        Producer producer =
                at -> {
                    long position = at % RingBench.ENTRIES;
                    if (DirtyRingEntry.flagsAcquire(memory, position) != 0) {
                        return false;
                    }
                    long entry = position * DirtyRingEntry.SIZE_BYTES;
                    memory.set(ValueLayout.JAVA_INT, entry, DirtyRingEntry.DIRTY);
                    Together.pause(random);
                    memory.set(ValueLayout.JAVA_INT, entry + 4, (int) at);
                    memory.set(ValueLayout.JAVA_LONG, entry + 8, at * 3);
                    return true;
                };
        return torn(memory, producer, () -> emptyHarvested(memory));
    }

    @Test
    void aResetProtectsWhatWasPushed() {
        RingBench bench = new RingBench();
        Memslot slot = bench.logged(1, RESETS);
        DirtyRing ring = bench.vcpu(0);
        DirtyRingHarvester harvester = RingBench.harvester(ring);
        PageCounter protectedPages = new PageCounter();
        Together.run(
                () -> {
                    for (long page = 0; page < RESETS; page++) {
                        Together.await("there is room", () -> !ring.isSoftFull());
                        ring.push(slot.slotNumber(), page);
                    }
                },
                () -> {
                    SplittableRandom random = new SplittableRandom(1);
                    while (protectedPages.next < RESETS && !protectedPages.wrong) {
                        harvester.harvest((_, _) -> {}, random.nextInt(RingBench.ENTRIES));
                        bench.rings.reset(protectedPages);
                    }
                });
        assertThat(protectedPages.wrong).isFalse();
        assertThat(ring.overruns()).isZero();
    }

    @Test
    void aResetThatFreesAnEntryBeforeItReadsItIsFound() {
        Together.untilFound(DirtyRaceTest::hastyResetReadsAnotherEntry);
    }

    private static boolean hastyResetReadsAnotherEntry() {
        MemorySegment memory = RingBench.allocate(RingBench.SIZE_BYTES);
        AtomicBoolean wrong = new AtomicBoolean();
        Together.run(
                () -> {
                    for (long page = 0; page < RESETS && !wrong.get(); page++) {
                        long position = page % RingBench.ENTRIES;
                        Together.await(
                                "there is room",
                                () ->
                                        DirtyRingEntry.flagsAcquire(memory, position) == 0
                                                || wrong.get());
                        DirtyRingEntry.publishRelease(memory, position, 1, page);
                    }
                },
                () -> {
                    DirtyRingHarvester harvester = new DirtyRingHarvester(memory);
                    SplittableRandom random = new SplittableRandom(1);
                    for (long page = 0; page < RESETS && !wrong.get(); ) {
                        long position = page % RingBench.ENTRIES;
                        harvester.harvest((_, _) -> {}, RingBench.ENTRIES);
                        if (DirtyRingEntry.flagsAcquire(memory, position) == DirtyRingEntry.RESET) {
                            DirtyRingEntry.markEmptyRelease(memory, position);
                            Together.pause(random);
                            wrong.set(DirtyRingEntry.offset(memory, position) != page);
                            page++;
                        }
                    }
                });
        return wrong.get();
    }

    /// Expects pages in ascending order, each once.
    private static final class PageCounter implements DirtyProtector {
        private long next;
        private boolean wrong;

        @Override
        public void protect(Memslot slot, long baseIndex, long bits) {
            for (long left = bits; left != 0; left &= left - 1) {
                wrong |= baseIndex + Long.numberOfTrailingZeros(left) != next;
                next++;
            }
        }

        @Override
        public void flush() {}
    }

    private static void emptyHarvested(MemorySegment memory) {
        for (long position = 0; position < RingBench.ENTRIES; position++) {
            if (DirtyRingEntry.flagsAcquire(memory, position) == DirtyRingEntry.RESET) {
                DirtyRingEntry.markEmptyRelease(memory, position);
            }
        }
    }

    private interface Producer {
        /// Pushes entry number `at`, or returns false if there is no room.
        boolean push(long at);
    }

    /// Lets one thread push and another harvest and reset.
    ///
    /// @return how many entries were not what was pushed
    private static int torn(MemorySegment memory, Producer producer, Runnable reset) {
        long count = 2L * WRITES;
        int[] torn = new int[1];
        DirtyRingHarvester harvester = new DirtyRingHarvester(memory);
        Together.Part pushing =
                () -> {
                    for (long at = 0; at < count; at++) {
                        long entry = at;
                        Together.await("there is room", () -> producer.push(entry));
                    }
                };
        Together.Part harvesting =
                () -> {
                    long[] at = new long[1];
                    while (at[0] < count) {
                        harvester.harvest(
                                (slot, page) -> {
                                    torn[0] += slot == (int) at[0] && page == at[0] * 3 ? 0 : 1;
                                    at[0]++;
                                },
                                64);
                        reset.run();
                    }
                };
        Together.run(pushing, harvesting);
        return torn[0];
    }

    private static long lostUnderBitmap(Mistake mistake) throws Exception {
        AddressSpaces slots = new AddressSpaces(SlotConfig.x86());
        GatedGuest guest = new GatedGuest(slots, mistake != Mistake.NO_PROTECTION);
        DirtyModes modes = new DirtyModes(slots, DirtyHardware.x86());
        DirtyLog log = new DirtyLog(slots, modes, guest);
        Together.Part collect =
                () -> {
                    DirtyBitmap found = new DirtyBitmap(GatedGuest.PAGES);
                    log.collect(GatedGuest.SLOT, found::setAll);
                    found.harvest(guest::copy);
                };
        return writeAndCollect(guest, collect);
    }

    private static long lostUnderRings(Mistake mistake) throws Exception {
        RingBench bench = new RingBench();
        GatedGuest guest = new GatedGuest(bench.slots, mistake != Mistake.NO_PROTECTION);
        DirtyRing[] rings = {bench.vcpu(0), bench.vcpu(1)};
        DirtyRingHarvester[] harvesters = {
            RingBench.harvester(rings[0]), RingBench.harvester(rings[1])
        };
        guest.leavesWhen(vcpu -> rings[vcpu].mustExit());
        Together.Part collect =
                () -> {
                    DirtyBitmap found = new DirtyBitmap(GatedGuest.PAGES);
                    for (DirtyRingHarvester harvester : harvesters) {
                        harvester.harvest((_, page) -> found.set(page), Integer.MAX_VALUE);
                    }
                    bench.rings.reset(guest);
                    found.harvest(guest::copy);
                };
        long lost = writeAndCollect(guest, collect);
        assertThat(rings[0].overruns() + rings[1].overruns()).isZero();
        return lost;
    }

    private static long writeAndCollect(GatedGuest guest, Together.Part collect) throws Exception {
        Together.run(
                () -> guest.run(0, WRITES),
                () -> guest.run(1, WRITES),
                () -> {
                    while (!guest.isDone()) {
                        collect.run();
                    }
                });
        // What the last rounds left over.
        collect.run();
        return guest.pagesThatDiffer();
    }
}
