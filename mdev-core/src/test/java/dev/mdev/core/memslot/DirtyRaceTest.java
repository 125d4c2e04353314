package dev.mdev.core.memslot;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/// Real threads: guests that write, a VMM that collects and copies. When all is over, the copy is
/// what was written. Mistakes are planted to show that the test can fail.
@Timeout(120)
class DirtyRaceTest {
    private static final int WRITES = 150_000 * Integer.getInteger("mdev.rounds", 1);

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
    void aPlantedMistakeUnderABitmapIsFound() throws Exception {
        assertThat(lostUnderBitmap(Mistake.NO_PROTECTION)).isPositive();
    }

    @Test
    void whatWasWrittenUnderRingsIsCopied() throws Exception {
        assertThat(lostUnderRings(Mistake.NONE)).isZero();
    }

    @Test
    void aPlantedMistakeUnderRingsIsFound() throws Exception {
        assertThat(lostUnderRings(Mistake.NO_PROTECTION)).isPositive();
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
    void aProducerThatPublishesBeforeItFillsIsFound() throws Exception {
        MemorySegment memory = RingBench.allocate(RingBench.SIZE_BYTES);
        Producer producer =
                at -> {
                    long position = at % RingBench.ENTRIES;
                    if (DirtyRingEntry.flagsAcquire(memory, position) != 0) {
                        return false;
                    }
                    long entry = position * DirtyRingEntry.SIZE_BYTES;
                    memory.set(ValueLayout.JAVA_INT, entry, DirtyRingEntry.DIRTY);
                    memory.set(ValueLayout.JAVA_INT, entry + 4, (int) at);
                    memory.set(ValueLayout.JAVA_LONG, entry + 8, at * 3);
                    return true;
                };
        assertThat(torn(memory, producer, () -> emptyHarvested(memory))).isPositive();
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
    private static int torn(MemorySegment memory, Producer producer, Runnable reset)
            throws Exception {
        long count = 2L * WRITES;
        int[] torn = new int[1];
        DirtyRingHarvester harvester = new DirtyRingHarvester(memory);
        Callable<Void> pushing =
                () -> {
                    for (long at = 0; at < count; ) {
                        if (producer.push(at)) {
                            at++;
                        } else {
                            Thread.yield();
                        }
                    }
                    return null;
                };
        Callable<Void> harvesting =
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
                    return null;
                };
        together(pushing, harvesting);
        return torn[0];
    }

    private static long lostUnderBitmap(Mistake mistake) throws Exception {
        AddressSpaces slots = new AddressSpaces(SlotConfig.x86());
        GatedGuest guest = new GatedGuest(slots, mistake != Mistake.NO_PROTECTION);
        DirtyModes modes =
                new DirtyModes(slots, DirtyHardware.x86(), DirtyModes.RingDefect.AVOIDED);
        DirtyLog log = new DirtyLog(slots, modes, guest);
        Callable<Void> collect =
                () -> {
                    DirtyBitmap found = new DirtyBitmap(GatedGuest.PAGES);
                    log.collect(GatedGuest.SLOT, found::setAll);
                    found.harvest(guest::copy);
                    return null;
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
        Callable<Void> collect =
                () -> {
                    DirtyBitmap found = new DirtyBitmap(GatedGuest.PAGES);
                    for (DirtyRingHarvester harvester : harvesters) {
                        harvester.harvest((_, page) -> found.set(page), Integer.MAX_VALUE);
                    }
                    bench.rings.reset(guest);
                    found.harvest(guest::copy);
                    return null;
                };
        long lost = writeAndCollect(guest, collect);
        assertThat(rings[0].overruns() + rings[1].overruns()).isZero();
        return lost;
    }

    private static long writeAndCollect(GatedGuest guest, Callable<Void> collect) throws Exception {
        together(
                () -> guest.run(0, WRITES),
                () -> guest.run(1, WRITES),
                () -> {
                    while (!guest.isDone()) {
                        collect.call();
                    }
                    return null;
                });
        // What the last rounds left over.
        collect.call();
        return guest.pagesThatDiffer();
    }

    @SafeVarargs
    private static void together(Callable<Void>... parts) throws Exception {
        try (ExecutorService threads = Executors.newFixedThreadPool(parts.length)) {
            Future<?>[] futures = new Future<?>[parts.length];
            for (int i = 0; i < parts.length; i++) {
                futures[i] = threads.submit(parts[i]);
            }
            for (Future<?> future : futures) {
                future.get();
            }
        } catch (ExecutionException e) {
            throw new AssertionError(e.getCause());
        }
    }
}
