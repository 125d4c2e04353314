package dev.mdev.core.capacity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.MdevType;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.support.Seeded;

import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;

/// [ExtentMap] against a bit a page.
class ExtentMapTest {
    /// No multiple of any alignment: demands are aligned from the pool's first page.
    private static final long BASE = 0x10003;

    @Test
    void everyOperationAgreesWithABitAPage() {
        Seeded.run(
                400,
                random -> {
                    int pages = random.nextInt(1, 40);
                    ExtentMap map = new ExtentMap(new PfnRange(BASE, pages));
                    BitSet free = new BitSet();
                    free.set(0, pages);
                    for (int step = 0; step < 60; step++) {
                        switch (random.nextInt(4)) {
                            case 0 -> take(random, map, free, pages);
                            case 1 -> remove(random, map, free, pages);
                            default -> put(random, map, free, pages);
                        }
                        compare(map, free);
                        compareQuestions(random, map, free, pages);
                    }
                });
    }

    private static PfnRange anyRange(SplittableRandom random, int pages) {
        int first = random.nextInt(pages);
        return new PfnRange(BASE + first, random.nextInt(1, Math.min(6, pages - first) + 1));
    }

    private static BitSet bitsOf(PfnRange range) {
        BitSet bits = new BitSet();
        bits.set((int) (range.firstPfn() - BASE), (int) (range.endPfn() - BASE));
        return bits;
    }

    private static void remove(SplittableRandom random, ExtentMap map, BitSet free, int pages) {
        PfnRange range = anyRange(random, pages);
        BitSet bits = bitsOf(range);
        BitSet common = (BitSet) bits.clone();
        common.and(free);
        assertThat(map.contains(range)).isEqualTo(common.equals(bits));
        if (common.equals(bits)) {
            map.remove(range);
            free.andNot(bits);
        } else {
            assertThatThrownBy(() -> map.remove(range)).isInstanceOf(IllegalStateException.class);
        }
    }

    private static void put(SplittableRandom random, ExtentMap map, BitSet free, int pages) {
        PfnRange range = anyRange(random, pages);
        BitSet bits = bitsOf(range);
        if (bits.intersects(free)) {
            assertThatThrownBy(() -> map.put(range)).isInstanceOf(IllegalStateException.class);
        } else {
            map.put(range);
            free.or(bits);
        }
    }

    private static void take(SplittableRandom random, ExtentMap map, BitSet free, int pages) {
        int align = 1 << random.nextInt(3);
        MdevType.Demand demand =
                new MdevType.Demand(
                        "p", (long) align * random.nextInt(1, 4), align, random.nextBoolean());
        Optional<BitSet> lowest = lowest(demand, free, pages);

        Optional<List<PfnRange>> taken = map.take(demand);

        assertThat(taken.isPresent()).as("%s of %s", demand, free).isEqualTo(lowest.isPresent());
        if (taken.isPresent()) {
            BitSet bits = new BitSet();
            taken.get().forEach(extent -> bits.or(bitsOf(extent)));
            assertThat(bits).as("the lowest that fit").isEqualTo(lowest.get());
            free.andNot(bits);
        }
    }

    private static Optional<BitSet> lowest(MdevType.Demand demand, BitSet free, int pages) {
        int align = (int) demand.alignPages();
        int npages = (int) demand.npages();
        if (demand.contiguous()) {
            for (int start = 0; start + npages <= pages; start += align) {
                if (free.nextClearBit(start) >= start + npages) {
                    return Optional.of(bitsOf(new PfnRange(BASE + start, npages)));
                }
            }
            return Optional.empty();
        }
        BitSet bits = new BitSet();
        for (int start = 0; start + align <= pages && bits.cardinality() < npages; start += align) {
            if (free.nextClearBit(start) >= start + align) {
                bits.set(start, start + align);
            }
        }
        return bits.cardinality() == npages ? Optional.of(bits) : Optional.empty();
    }

    private static void compare(ExtentMap map, BitSet free) {
        List<PfnRange> runs = new ArrayList<>();
        for (int first = free.nextSetBit(0); first >= 0; ) {
            int end = free.nextClearBit(first);
            runs.add(new PfnRange(BASE + first, end - first));
            first = free.nextSetBit(end);
        }
        assertThat(map.extents()).as("disjoint, merged, ascending").isEqualTo(runs);
        assertThat(map.freePages()).isEqualTo(free.cardinality());
        assertThat(map.largestFree())
                .isEqualTo(runs.stream().mapToLong(PfnRange::npages).max().orElse(0));
    }

    private static void compareQuestions(
            SplittableRandom random, ExtentMap map, BitSet free, int pages) {
        PfnRange asked = anyRange(random, pages);
        BitSet within = bitsOf(asked);
        within.and(free);
        BitSet found = new BitSet();
        map.within(asked).forEach(part -> found.or(bitsOf(part)));
        assertThat(found).isEqualTo(within);

        ExtentMap copy = map.copy();
        copy.within(asked).forEach(copy::remove);
        compare(map, free);
    }

    @Test
    void pagesOutsideOfThePoolAreNeverFree() {
        ExtentMap map = new ExtentMap(new PfnRange(BASE, 8));

        assertThat(map.contains(new PfnRange(BASE - 1, 2))).isFalse();
        assertThat(map.contains(new PfnRange(BASE + 7, 2))).isFalse();
        assertThat(map.within(new PfnRange(BASE + 8, 4))).isEmpty();
        assertThatThrownBy(() -> map.put(new PfnRange(BASE + 8, 1)))
                .isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> map.put(new PfnRange(BASE - 1, 1)))
                .isInstanceOf(IllegalStateException.class);
    }
}
