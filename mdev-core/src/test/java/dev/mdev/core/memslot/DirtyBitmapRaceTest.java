package dev.mdev.core.memslot;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.memslot.PlantedBitmap.Mistake;
import dev.mdev.core.memslot.PlantedBitmap.Place;
import dev.mdev.core.support.Together;
import dev.mdev.core.sync.Interleavings;
import dev.mdev.gate.Deadlines;

import org.jetbrains.lincheck.datastructures.Operation;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

/// Searches the interleavings of writers, which write a page and set its bit, and one collector,
/// which takes bits and copies their pages, for one after which the copy differs from memory. Only
/// one thread at a time harvests or clears, as under the slots lock: two at once violate the
/// contract. Real threads cover what takes more turns than a search can follow. The planted bugs
/// show that search and threads find such errors.
@Timeout(value = 900, threadMode = ThreadMode.SEPARATE_THREAD)
@Tag("slow")
class DirtyBitmapRaceTest {
    private static final int STRESS_WRITES = 100_000 * Integer.getInteger("mdev.rounds", 1);
    private static final List<String> LAST = List.of("isCopyStale");

    /// The operations of two threads, the first one by the first thread; the rest is collected at
    /// the end.
    enum Plan {
        WRITE_AND_COLLECT("write0", "write1", "collect"),
        WRITE_SIDE_BY_SIDE("write0", "write1"),
        WRITE_AND_CLEAR("write0", "write0", "clear0"),
        COLLECT_ONES_OWN("write0", "write0", "isOwnWriteMissed");

        @SuppressWarnings("ImmutableEnumChecker") // of strings, and unmodifiable
        private final List<String> operations;

        Plan(String... operations) {
            this.operations = List.of(operations);
        }

        void search(Class<?> scenario) {
            searchOf(scenario).search(first(), second(), LAST);
        }

        void searchPlanted(Class<?> scenario) {
            searchOf(scenario).searchPlanted(first(), second(), LAST);
        }

        private static Interleavings searchOf(Class<?> scenario) {
            return new Interleavings(scenario, Specification.class);
        }

        private List<String> first() {
            return operations.subList(0, 1);
        }

        private List<String> second() {
            return operations.subList(1, operations.size());
        }
    }

    @ParameterizedTest
    @EnumSource
    void whatIsWrittenIsCopied(Plan plan) {
        plan.search(Real.class);
    }

    @Test
    void whatIsWrittenByRealThreadsIsCopied() {
        assertThat(isStaleAfterStress(new Real(), STRESS_WRITES)).isFalse();
    }

    @Test
    void thePlantedBitmapIsRightWithoutAMistake() {
        Plan.WRITE_AND_COLLECT.search(Right.class);
    }

    @Test
    void aSetThatReadsAndThenWritesIsFound() {
        Plan.WRITE_SIDE_BY_SIDE.searchPlanted(SetIsTwoSteps.class);
    }

    @Test
    void aSetThatDoesNotLookAgainIsFound() {
        Plan.WRITE_AND_COLLECT.searchPlanted(LooksOnce.class);
    }

    @Test
    void aHarvestThatReadsBeforeTheExchangeIsFound() {
        Plan.WRITE_AND_COLLECT.searchPlanted(ReadsBeforeTheExchange.class);
    }

    @Test
    void aSummaryThatOnlyTheFirstSetterSetsIsFound() {
        Plan.COLLECT_ONES_OWN.searchPlanted(SummarySetByFirstSetterOnly.class);
    }

    /// A setter sleeps while its half is taken away and comes back: more turns than a search can
    /// follow, so the test fixes them.
    @Test
    void aHalfThatComesBackUnnoticedIsFound() {
        assertThat(harvestedAfterTwoExchanges(Mistake.REUSES_HALVES)).isZero();
        assertThat(harvestedAfterTwoExchanges(Mistake.NONE)).isEqualTo(1);
    }

    /// @return the harvest after a setter of page 0 came between the reading and the zeroing of its
    ///   half, and slept through the next harvest
    private static long harvestedAfterTwoExchanges(Mistake mistake) {
        CountDownLatch wordRead = new CountDownLatch(1);
        CountDownLatch bitSet = new CountDownLatch(1);
        CountDownLatch exchangedTwice = new CountDownLatch(1);
        CountDownLatch halfKnown = new CountDownLatch(1);
        Thread harvester = Thread.currentThread();
        PlantedBitmap bitmap =
                new PlantedBitmap(
                        mistake,
                        place -> {
                            boolean ofHarvester = Thread.currentThread().equals(harvester);
                            if (ofHarvester && place == Place.WORD_READ) {
                                wordRead.countDown();
                                Deadlines.await(bitSet);
                            } else if (!ofHarvester && place == Place.LIVE_LOADED) {
                                halfKnown.countDown();
                                Deadlines.await(wordRead);
                            } else if (!ofHarvester && place == Place.BIT_SET) {
                                bitSet.countDown();
                                Deadlines.await(exchangedTwice);
                            }
                        });
        Thread setter = Thread.ofPlatform().daemon().start(() -> bitmap.set(0));
        Deadlines.await(halfKnown);
        bitmap.set(1);
        assertThat(bitmap.harvest()).isEqualTo(2);
        bitmap.set(1);
        assertThat(bitmap.harvest()).isEqualTo(2);
        exchangedTwice.countDown();
        try {
            setter.join();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
        return bitmap.harvest();
    }

    /// Lets two threads write a page each while one collects.
    private static boolean isStaleAfterStress(Scenario scenario, int writes) {
        AtomicInteger running = new AtomicInteger(2);
        Together.run(
                () -> {
                    for (int i = 0; i < writes; i++) {
                        scenario.write0();
                    }
                    running.decrementAndGet();
                },
                () -> {
                    for (int i = 0; i < writes; i++) {
                        scenario.write1();
                    }
                    running.decrementAndGet();
                },
                () -> {
                    while (running.get() > 0) {
                        scenario.collect();
                    }
                });
        return scenario.isCopyStale();
    }

    /// When all is collected, the copy is what was written.
    public static final class Specification {
        public void write0() {}

        public void write1() {}

        public void collect() {}

        public void clear0() {}

        public boolean isOwnWriteMissed() {
            return false;
        }

        public boolean isCopyStale() {
            return false;
        }
    }

    /// Two pages, and what was copied of them.
    public abstract static class Scenario {
        private final AtomicInteger page0 = new AtomicInteger();
        private final AtomicInteger page1 = new AtomicInteger();
        private volatile int copy0;
        private volatile int copy1;

        abstract void set(int page);

        abstract long harvest();

        abstract long clear(long bits);

        @Operation
        public void write0() {
            page0.incrementAndGet();
            set(0);
        }

        @Operation
        public void write1() {
            page1.incrementAndGet();
            set(1);
        }

        @Operation
        public void collect() {
            copy(harvest());
        }

        @Operation
        public void clear0() {
            copy(clear(1));
        }

        /// What the collector itself has written is in the next harvest.
        @Operation
        public boolean isOwnWriteMissed() {
            collect();
            return copy0 == 0;
        }

        @Operation
        public boolean isCopyStale() {
            collect();
            return copy0 != page0.get() || copy1 != page1.get();
        }

        private void copy(long bits) {
            if ((bits & 1) != 0) {
                copy0 = page0.get();
            }
            if ((bits & 2) != 0) {
                copy1 = page1.get();
            }
        }
    }

    public static final class Real extends Scenario {
        private final DirtyBitmap bitmap = new DirtyBitmap(64);

        @Override
        void set(int page) {
            bitmap.set(page);
        }

        @Override
        long harvest() {
            long[] taken = new long[1];
            bitmap.harvest((_, bits) -> taken[0] = bits);
            return taken[0];
        }

        @Override
        long clear(long bits) {
            return bitmap.clear(0, bits);
        }
    }

    abstract static class Planted extends Scenario {
        private final PlantedBitmap bitmap;

        Planted(Mistake mistake) {
            bitmap = new PlantedBitmap(mistake);
        }

        @Override
        void set(int page) {
            bitmap.set(page);
        }

        @Override
        long harvest() {
            return bitmap.harvest();
        }

        @Override
        long clear(long bits) {
            // Takes more than it is asked for, which is copied too.
            return bitmap.harvest();
        }
    }

    public static final class Right extends Planted {
        public Right() {
            super(Mistake.NONE);
        }
    }

    public static final class SetIsTwoSteps extends Planted {
        public SetIsTwoSteps() {
            super(Mistake.SET_IS_TWO_STEPS);
        }
    }

    public static final class LooksOnce extends Planted {
        public LooksOnce() {
            super(Mistake.LOOKS_ONCE);
        }
    }

    public static final class ReadsBeforeTheExchange extends Planted {
        public ReadsBeforeTheExchange() {
            super(Mistake.READS_BEFORE_THE_EXCHANGE);
        }
    }

    public static final class SummarySetByFirstSetterOnly extends Planted {
        public SummarySetByFirstSetterOnly() {
            super(Mistake.SUMMARY_SET_BY_FIRST_SETTER_ONLY);
        }
    }
}
