package dev.mdev.core.memslot;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/// One bit a page of a slot: bit i stands for page i. Any thread may set bits at any time.
public final class DirtyBitmap {
    private static final VarHandle WORDS = MethodHandles.arrayElementVarHandle(long[].class);

    private final long npages;
    private final long[] words;

    /// Makes a bitmap of zeros.
    ///
    /// @param npages pages of the slot, 1 to 2^31 - 1
    public DirtyBitmap(long npages) {
        this.npages = npages;
        this.words = new long[Math.toIntExact((npages + Long.SIZE - 1) / Long.SIZE)];
    }

    /// Makes a bitmap whose bits are all set; the bits after the last page stay 0.
    public static DirtyBitmap allOnes(long npages) {
        DirtyBitmap bitmap = new DirtyBitmap(npages);
        for (long page = 0; page < npages; page++) {
            bitmap.set(page);
        }
        return bitmap;
    }

    public long npages() {
        return npages;
    }

    /// Sets the bit of page `index`.
    public void set(long index) {
        WORDS.getAndBitwiseOr(words, wordOf(index), 1L << index);
    }

    /// Whether the bit of page `index` is set.
    public boolean test(long index) {
        return ((long) WORDS.getVolatile(words, wordOf(index)) & 1L << index) != 0;
    }

    private int wordOf(long index) {
        if (index < 0 || index >= npages) {
            throw new IndexOutOfBoundsException("index=%d npages=%d".formatted(index, npages));
        }
        return (int) (index / Long.SIZE);
    }
}
