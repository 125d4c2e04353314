package dev.mdev.core.range;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.support.Seeded;

import org.junit.jupiter.api.Test;

import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;

class RangeSetTest {
    private static final int NUMBERS = 64;

    @Test
    void isTheSetThatABitSetIs() {
        Seeded.run(200, RangeSetTest::compareWithBits);
    }

    private static void compareWithBits(SplittableRandom random) {
        RangeSet ranges = new RangeSet();
        BitSet bits = new BitSet();
        for (int i = 0; i < 60; i++) {
            int start = random.nextInt(NUMBERS);
            int end = random.nextInt(start, NUMBERS + 1);
            if (random.nextBoolean()) {
                ranges.add(start, end);
                bits.set(start, end);
            } else {
                ranges.remove(start, end);
                bits.clear(start, end);
            }
            assertSame(ranges.ranges(), bits);
            assertThat(ranges.size()).isEqualTo(bits.cardinality());
            assertThat(ranges.isEmpty()).isEqualTo(bits.isEmpty());

            int from = random.nextInt(NUMBERS);
            int to = random.nextInt(from, NUMBERS + 1);
            BitSet window = new BitSet();
            window.set(from, to);
            BitSet inside = (BitSet) window.clone();
            inside.and(bits);
            BitSet missing = (BitSet) window.clone();
            missing.andNot(bits);
            assertSame(ranges.within(from, to), inside);
            assertSame(ranges.gaps(from, to), missing);
            assertThat(ranges.contains(from, to)).isEqualTo(missing.isEmpty());
        }
    }

    private static void assertSame(List<RangeSet.Range> ranges, BitSet bits) {
        BitSet covered = new BitSet();
        long lastEnd = -1;
        for (RangeSet.Range range : ranges) {
            assertThat(range.start()).as("ascending, and not touching").isGreaterThan(lastEnd);
            lastEnd = range.end();
            covered.set((int) range.start(), (int) range.end());
        }
        assertThat(covered).isEqualTo(bits);
    }

    @Test
    void aCopyIsASetOfItsOwn() {
        RangeSet ranges = new RangeSet();
        ranges.add(3, 7);
        RangeSet copy = ranges.copy();

        copy.clear();

        assertThat(ranges.ranges()).containsExactly(new RangeSet.Range(3, 7));
    }
}
