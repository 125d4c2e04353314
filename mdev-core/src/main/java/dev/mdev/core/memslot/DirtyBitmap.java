package dev.mdev.core.memslot;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/// One bit a page of a slot: bit i of the little-endian words stands for page i (Linux
/// `kvm_memory_slot.dirty_bitmap`). Bits at and after [#npages] are always 0.
///
/// Any thread may set bits at any time. One thread at a time takes them, by a harvest or by clearing
/// (for a slot's bitmap that is whoever holds the slots lock): of two harvests at once, one could
/// find nothing while the other has yet to take what was there before. As in Linux there are two halves, the
/// live one that is set and cleared, and a scratch one of the same size for whoever reads or clears
/// the log, allocated together so that reading never runs out of memory. The scratch half is
/// guarded by the slots lock and all zeros between uses.
///
/// ## Skipping what is clear
///
/// A third, small bitmap has a bit for each group of 64 words (4096 pages, 16 MiB of guest memory):
///
///     setter:     live word |= bit;            then, if clear, summary |= group
///     harvester:  summary word -> 0;           then, in its groups, live words -> 0
///
/// Both use sequentially consistent accesses. A setter that finds its group's bit set does so before
/// the harvester clears it, so its live bit precedes the harvester's look at the word; one that
/// finds it clear sets it. Either way a bit whose [#set] has returned is found by a harvest that
/// begins afterwards, unless an earlier one took it. A group's bit may be set with no live bit under
/// it; that costs a look. A bit whose `set` is still running may be seen by [#test] and yet be left
/// for the next harvest.
///
/// A setter does not look first whether its bit is set already: its write of the page must be seen
/// by whoever takes the bit, and a mere load would not order the two.
public final class DirtyBitmap {
    /// The most pages of a slot.
    public static final long MAX_PAGES = Integer.MAX_VALUE;

    private static final VarHandle WORDS = MethodHandles.arrayElementVarHandle(long[].class);
    private static final ValueLayout.OfLong WIRE_WORD =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int GROUP_SHIFT = 6;
    private static final int GROUP_WORDS = 1 << GROUP_SHIFT;

    private final long npages;
    private final long[] live;
    private final long[] scratch;
    private final long[] summary;

    /// The groups of `scratch` that are not all zeros.
    private final long[] scratchSummary;

    /// Makes a bitmap of zeros.
    ///
    /// @param npages pages of the slot, 1 to [#MAX_PAGES]
    public DirtyBitmap(long npages) {
        if (npages < 1 || npages > MAX_PAGES) {
            throw new IllegalArgumentException("npages=" + npages);
        }
        this.npages = npages;
        int words = wordsFor(npages);
        this.live = new long[words];
        this.scratch = new long[words];
        int groups = wordsFor((words + GROUP_WORDS - 1) >>> GROUP_SHIFT);
        this.summary = new long[groups];
        this.scratchSummary = new long[groups];
    }

    /// Makes a bitmap whose bits are all set; the bits after the last page stay 0.
    public static DirtyBitmap allOnes(long npages) {
        DirtyBitmap bitmap = new DirtyBitmap(npages);
        Arrays.fill(bitmap.live, -1L);
        if ((npages & (Long.SIZE - 1)) != 0) {
            bitmap.live[bitmap.live.length - 1] = (1L << npages) - 1;
        }
        for (int word = 0; word < bitmap.live.length; word += GROUP_WORDS) {
            bitmap.flagGroup(word);
        }
        return bitmap;
    }

    /// The words that hold `npages` bits.
    static int wordsFor(long npages) {
        return Math.toIntExact((npages + Long.SIZE - 1) / Long.SIZE);
    }

    /// Pages of the slot.
    public long npages() {
        return npages;
    }

    /// Words of the live half.
    public int words() {
        return live.length;
    }

    /// Bytes of the live half: what a reader of the log gets.
    public long sizeBytes() {
        return (long) live.length * Long.BYTES;
    }

    /// Sets the bit of page `index`.
    public void set(long index) {
        int word = wordOf(index);
        or(live, word, 1L << index);
        flagGroup(word);
    }

    /// Sets bits of one word.
    ///
    /// @param bits none of them at or after [#npages]
    public void setAll(int word, long bits) {
        if (bits == 0) {
            return;
        }
        wordOf((long) word * Long.SIZE + (Long.SIZE - 1 - Long.numberOfLeadingZeros(bits)));
        or(live, word, bits);
        flagGroup(word);
    }

    /// Whether the bit of page `index` is set.
    public boolean test(long index) {
        return ((long) WORDS.getVolatile(live, wordOf(index)) & 1L << index) != 0;
    }

    /// Clears a word.
    ///
    /// @return the bits that were set
    public long getAndClear(int word) {
        return (long) WORDS.getAndSet(live, word, 0L);
    }

    /// Clears some bits of a word.
    ///
    /// @return those of `bits` that were set
    public long clear(int word, long bits) {
        while (true) {
            long before = (long) WORDS.getVolatile(live, word);
            if ((before & bits) == 0 || WORDS.compareAndSet(live, word, before, before & ~bits)) {
                return before & bits;
            }
        }
    }

    /// Whether no bit is set. Costs next to nothing if none has been for a while.
    public boolean isEmpty() {
        for (int i = 0; i < summary.length; i++) {
            for (long groups = (long) WORDS.getVolatile(summary, i);
                    groups != 0;
                    groups &= groups - 1) {
                if (!isGroupEmpty(groupOf(i, groups))) {
                    return false;
                }
            }
        }
        return true;
    }

    /// Clears every word that has a set bit and hands it over, in ascending order. Words are
    /// cleared one by one, so bits that are set meanwhile are found by this harvest or the next.
    ///
    /// @param sink gets each word; if it throws, its word and all that follow stay set
    /// @return whether a bit was set
    public boolean harvest(DirtyWords sink) {
        boolean any = false;
        for (int i = 0; i < summary.length; i++) {
            if ((long) WORDS.getVolatile(summary, i) == 0) {
                continue;
            }
            long groups = (long) WORDS.getAndSet(summary, i, 0L);
            try {
                while (groups != 0) {
                    any |= harvestGroup(groupOf(i, groups), sink);
                    groups &= groups - 1;
                }
            } finally {
                if (groups != 0) {
                    or(summary, i, groups);
                }
            }
        }
        return any;
    }

    /// Hands over every word that has a set bit, in ascending order, and leaves it as it is.
    public void forEachWord(DirtyWords sink) {
        for (int i = 0; i < summary.length; i++) {
            for (long groups = (long) WORDS.getVolatile(summary, i);
                    groups != 0;
                    groups &= groups - 1) {
                int first = groupOf(i, groups) << GROUP_SHIFT;
                for (int word = first; word < groupEnd(first); word++) {
                    long bits = (long) WORDS.getVolatile(live, word);
                    if (bits != 0) {
                        sink.accept(word, bits);
                    }
                }
            }
        }
    }

    /// How many bits are set.
    public long cardinality() {
        long[] count = new long[1];
        forEachWord((_, bits) -> count[0] += Long.bitCount(bits));
        return count[0];
    }

    /// Moves the live half to the scratch half. The caller holds the slots lock.
    ///
    /// @param taken gets each word that has a set bit
    /// @return whether a bit was set; end with [#zeroScratch] in any case
    boolean takeSnapshot(DirtyWords taken) {
        return harvest((word, bits) -> {
            taken.accept(word, bits);
            putScratch(word, bits);
        });
    }

    /// Copies the scratch half out. The caller holds the slots lock.
    ///
    /// @param target of at least [#sizeBytes] bytes
    void copySnapshot(MemorySegment target) {
        MemorySegment.copy(scratch, 0, target, WIRE_WORD, 0, scratch.length);
    }

    /// Copies the live half out, word by word.
    ///
    /// @param target of at least [#sizeBytes] bytes
    void copyLive(MemorySegment target) {
        MemorySegment.copy(live, 0, target, WIRE_WORD, 0, live.length);
    }

    /// Clears the bits that a reader names. They are copied to the scratch half first, so that the
    /// reader cannot change them meanwhile. The caller holds the slots lock.
    ///
    /// @param firstWord the word that the first word of `named` is about
    /// @param nwords how many words; they lie within the bitmap, and `named` is as long
    /// @param cleared gets the bits that were set and no longer are
    /// @return whether there were any
    boolean clearNamed(int firstWord, int nwords, MemorySegment named, DirtyWords cleared) {
        boolean any = false;
        try {
            MemorySegment.copy(named, WIRE_WORD, 0, scratch, 0, nwords);
            for (int i = 0; i < nwords; i++) {
                long bits = scratch[i] == 0 ? 0 : clear(firstWord + i, scratch[i]);
                if (bits != 0) {
                    cleared.accept(firstWord + i, bits);
                    any = true;
                }
            }
        } finally {
            Arrays.fill(scratch, 0, nwords, 0);
        }
        return any;
    }

    /// Forgets the scratch half's content.
    void zeroScratch() {
        for (int i = 0; i < scratchSummary.length; i++) {
            for (long groups = scratchSummary[i]; groups != 0; groups &= groups - 1) {
                int first = groupOf(i, groups) << GROUP_SHIFT;
                Arrays.fill(scratch, first, groupEnd(first), 0);
            }
            scratchSummary[i] = 0;
        }
    }

    private void putScratch(int word, long bits) {
        scratch[word] = bits;
        int group = word >>> GROUP_SHIFT;
        scratchSummary[group >>> GROUP_SHIFT] |= 1L << group;
    }

    private boolean harvestGroup(int group, DirtyWords sink) {
        int first = group << GROUP_SHIFT;
        boolean any = false;
        for (int word = first; word < groupEnd(first); word++) {
            if ((long) WORDS.getVolatile(live, word) == 0) {
                continue;
            }
            long bits = getAndClear(word);
            if (bits != 0) {
                handOver(word, bits, sink);
                any = true;
            }
        }
        return any;
    }

    private void handOver(int word, long bits, DirtyWords sink) {
        boolean taken = false;
        try {
            sink.accept(word, bits);
            taken = true;
        } finally {
            if (!taken) {
                setAll(word, bits);
            }
        }
    }

    private boolean isGroupEmpty(int group) {
        int first = group << GROUP_SHIFT;
        for (int word = first; word < groupEnd(first); word++) {
            if ((long) WORDS.getVolatile(live, word) != 0) {
                return false;
            }
        }
        return true;
    }

    private void flagGroup(int word) {
        int group = word >>> GROUP_SHIFT;
        int i = group >>> GROUP_SHIFT;
        if (((long) WORDS.getVolatile(summary, i) & 1L << group) == 0) {
            or(summary, i, 1L << group);
        }
    }

    /// As `getAndBitwiseOr`, which is such a loop too; here a search of interleavings can look into
    /// it.
    private static void or(long[] words, int i, long bits) {
        long before;
        do {
            before = (long) WORDS.getVolatile(words, i);
        } while (!WORDS.compareAndSet(words, i, before, before | bits));
    }

    private static int groupOf(int summaryWord, long groups) {
        return (summaryWord << GROUP_SHIFT) + Long.numberOfTrailingZeros(groups);
    }

    private int groupEnd(int firstWord) {
        return Math.min(firstWord + GROUP_WORDS, live.length);
    }

    private int wordOf(long index) {
        if (index < 0 || index >= npages) {
            throw new IndexOutOfBoundsException("index=%d npages=%d".formatted(index, npages));
        }
        return (int) (index / Long.SIZE);
    }
}
