package dev.mdev.core.memslot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.core.support.Seeded;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;

class DirtyBitmapTest {
    private static final long TEBIBYTE_PAGES = 1L << 28;

    private static List<Long> harvested(DirtyBitmap bitmap) {
        List<Long> pages = new ArrayList<>();
        bitmap.harvest((word, bits) -> addPages(pages, word, bits));
        return pages;
    }

    private static void addPages(List<Long> pages, int word, long bits) {
        for (long left = bits; left != 0; left &= left - 1) {
            pages.add((long) word * 64 + Long.numberOfTrailingZeros(left));
        }
    }

    @ParameterizedTest
    @CsvSource({"1,8", "64,8", "65,16", "200,32", "128,16"})
    void theLiveHalfIsAWholeNumberOfWords(long npages, long sizeBytes) {
        assertThat(new DirtyBitmap(npages).sizeBytes()).isEqualTo(sizeBytes);
    }

    @ParameterizedTest
    @CsvSource({"1,1", "63,0x7fffffffffffffff", "64,-1", "65,1", "4096,-1", "4097,1"})
    void allOnesHasNoBitAfterTheLastPage(long npages, String lastWord) {
        DirtyBitmap bitmap = DirtyBitmap.allOnes(npages);
        assertThat(bitmap.cardinality()).isEqualTo(npages);
        assertThat(bitmap.getAndClear(bitmap.words() - 1)).isEqualTo(Long.decode(lastWord));
    }

    @Test
    void pagesOutsideAreRefused() {
        DirtyBitmap bitmap = new DirtyBitmap(65);
        assertThatThrownBy(() -> bitmap.set(65)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> bitmap.set(-1)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> bitmap.setAll(1, 0b11))
                .isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> new DirtyBitmap(0)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new DirtyBitmap(1L << 31))
                .isInstanceOf(IllegalArgumentException.class);
        assertThat(bitmap.isEmpty()).isTrue();
    }

    @Test
    void harvestTakesEveryBitOnceInAscendingOrder() {
        DirtyBitmap bitmap = new DirtyBitmap(TEBIBYTE_PAGES);
        assertThat(bitmap.isEmpty()).isTrue();
        long[] pages = {0, 63, 64, 4095, 4096, 262143, 262144, 1 << 27, TEBIBYTE_PAGES - 1};
        for (long page : pages) {
            bitmap.set(page);
            bitmap.set(page);
        }
        assertThat(bitmap.isEmpty()).isFalse();
        assertThat(harvested(bitmap)).containsExactly(box(pages));
        assertThat(harvested(bitmap)).isEmpty();
        assertThat(bitmap.isEmpty()).isTrue();
    }

    private static Long[] box(long[] pages) {
        Long[] boxed = new Long[pages.length];
        for (int i = 0; i < pages.length; i++) {
            boxed[i] = pages[i];
        }
        return boxed;
    }

    @Test
    void aHarvestThatIsCutShortLosesNothing() {
        DirtyBitmap bitmap = new DirtyBitmap(1 << 20);
        for (long page : new long[] {3, 70, 5000, 300_000, 900_000}) {
            bitmap.set(page);
        }
        List<Long> first = new ArrayList<>();
        assertThatThrownBy(() ->
                        bitmap.harvest((word, bits) -> {
                            if (first.size() == 2) {
                                throw new IllegalStateException("enough");
                            }
                            addPages(first, word, bits);
                        }))
                .hasMessage("enough");
        assertThat(first).containsExactly(3L, 70L);
        assertThat(harvested(bitmap)).containsExactly(5000L, 300_000L, 900_000L);
    }

    @Test
    void clearReturnsWhatWasSet() {
        DirtyBitmap bitmap = new DirtyBitmap(128);
        bitmap.set(64);
        bitmap.set(66);
        assertThat(bitmap.clear(1, 0b110)).isEqualTo(0b100);
        assertThat(bitmap.clear(1, 0b110)).isZero();
        assertThat(bitmap.test(64)).isTrue();
        assertThat(bitmap.test(66)).isFalse();
    }

    @Test
    void randomOperationsAgreeWithABitSet() {
        Seeded.run(
                200,
                random -> {
                    int npages = 1 + random.nextInt(20_000);
                    DirtyBitmap bitmap =
                            random.nextBoolean()
                                    ? new DirtyBitmap(npages)
                                    : DirtyBitmap.allOnes(npages);
                    BitSet model = new BitSet();
                    model.set(0, npages, bitmap.test(0));
                    for (int i = 0; i < 300; i++) {
                        step(bitmap, model, random);
                    }
                    assertThat(bitmap.cardinality()).isEqualTo(model.cardinality());
                });
    }

    private static void step(DirtyBitmap bitmap, BitSet model, SplittableRandom random) {
        int page = random.nextInt((int) bitmap.npages());
        int word = page / 64;
        switch (random.nextInt(8)) {
            case 0 -> {
                assertThat(harvested(bitmap))
                        .isEqualTo(model.stream().mapToObj(Long::valueOf).toList());
                model.clear();
            }
            case 1 -> {
                assertThat(bitmap.getAndClear(word)).isEqualTo(wordOf(model, word));
                model.clear(word * 64, word * 64 + 64);
            }
            case 2 -> {
                long bits = random.nextLong();
                long was = wordOf(model, word);
                assertThat(bitmap.clear(word, bits)).isEqualTo(was & bits);
                putWord(model, word, was & ~bits);
            }
            case 3 -> {
                long valid = wordOf(filled((int) bitmap.npages()), word);
                long bits = random.nextLong() & valid;
                bitmap.setAll(word, bits);
                putWord(model, word, wordOf(model, word) | bits);
            }
            case 4 -> assertThat(bitmap.isEmpty()).isEqualTo(model.isEmpty());
            default -> {
                bitmap.set(page);
                model.set(page);
                assertThat(bitmap.test(page)).isTrue();
            }
        }
    }

    private static BitSet filled(int npages) {
        BitSet set = new BitSet();
        set.set(0, npages);
        return set;
    }

    private static long wordOf(BitSet set, int word) {
        long[] longs = set.get(word * 64, word * 64 + 64).toLongArray();
        return longs.length == 0 ? 0 : longs[0];
    }

    private static void putWord(BitSet set, int word, long bits) {
        for (int bit = 0; bit < 64; bit++) {
            set.set(word * 64 + bit, (bits & 1L << bit) != 0);
        }
    }
}
