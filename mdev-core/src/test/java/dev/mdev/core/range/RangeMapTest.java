package dev.mdev.core.range;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.core.support.Seeded;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;

class RangeMapTest {
    private static final int NUMBERS = 64;

    /// A value with its range. Each is one, whatever it looks like.
    private record Item(int start, int end) {}

    private static RangeMap<Item> mapOf(List<Item> items) {
        return RangeMap.of(items, Item::start, Item::end);
    }

    @Test
    void findsWhatAnArrayOfAllNumbersHas() {
        Seeded.run(200, RangeMapTest::compareWithArray);
    }

    private static void compareWithArray(SplittableRandom random) {
        RangeMap<Item> map = mapOf(List.of());
        @Nullable Item[] array = new Item[NUMBERS];
        for (int i = 0; i < 60; i++) {
            int start = random.nextInt(NUMBERS);
            int end = random.nextInt(start, Math.min(NUMBERS, start + 12)) + 1;
            Item item = new Item(start, end);
            List<Item> hit =
                    Arrays.stream(array, start, end)
                            .filter(Objects::nonNull)
                            .map(Objects::requireNonNull)
                            .distinct()
                            .toList();
            assertThat(map.overlapping(start, end)).isEqualTo(hit);
            RangeMap<Item> before = map;
            if (hit.isEmpty()) {
                map = map.with(item);
                Arrays.fill(array, start, end, item);
            } else {
                assertThatThrownBy(() -> before.with(item))
                        .isInstanceOf(IllegalStateException.class);
                Item gone = hit.getFirst();
                map = map.without(gone);
                Arrays.setAll(array, n -> gone.equals(array[n]) ? null : array[n]);
            }
            compare(map, array);
            compare(mapOf(map.values().reversed()), array);
        }
    }

    private static void compare(RangeMap<Item> map, @Nullable Item[] array) {
        long above = Long.MAX_VALUE;
        for (int n = NUMBERS - 1; n >= 0; n--) {
            Item item = array[n];
            assertThat(map.find(n)).isSameAs(item);
            assertThat(map.startAbove(n)).isEqualTo(above);
            above = item != null && item.start() == n ? n : above;
        }
        assertThat(map.find(-1)).isNull();
        assertThat(map.find(NUMBERS)).isNull();
    }
}
