package dev.mdev.core.memslot;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/// One bit a page of a slot: bit i of the little-endian words stands for page i (Linux
/// `kvm_memory_slot.dirty_bitmap`). Bits at and after [#npages] are always 0.
///
/// Any thread may set bits at any time. One thread at a time takes bits, by a harvest or by
/// clearing; for a slot's bitmap, this is the holder of the slots lock. As in Linux there are two
/// halves of the same size, allocated together so that reading the log never runs out of memory.
///
/// ## Taking at the speed of memory
///
/// Linux exchanges each word for zero, with one locked instruction per word. Here a harvest swaps
/// the halves once, and then reads and zeroes the former live half with plain loads and stores:
///
///     setter:     h = live;  h's word |= bit;  h's group flag;  again, if live is not h any more
///     harvester:  h = live;  live = the other half;  read h, zero h
///
/// A bit whose [#set] has returned is in the half that was live at the setter's last check, so the
/// next harvest takes that half and finds it. A setter that a harvest has overtaken cannot know
/// whether its bit was read before it was zeroed, and sets it again: two harvests may then find the
/// page. Each swap makes a new [Half] of the same arrays, so that a setter that sleeps through two
/// swaps detects them as well; what it leaves in the inactive half shows up in a later harvest, as
/// a duplicate. So the inactive half must never serve as scratch memory.
///
/// ## Skipping what is clear
///
/// Each half has a summary with a bit, a flag, for each group of 64 words (4096 pages, 16 MiB of
/// guest memory), and a harvester reads only flagged groups. A setter sets its bit and its group's
/// flag before it checks whether the half is still live. A flag may be set with no bit under it;
/// that costs one read.
///
/// A setter writes its bit without checking first whether it is set: the thread that takes the bit
/// must see the setter's write of the page, and a mere load would not order the two.
public final class DirtyBitmap {
    /// The most pages of a slot.
    public static final long MAX_PAGES = Integer.MAX_VALUE;

    /// Words of a group.
    static final int GROUP_WORDS = 64;

    private static final VarHandle WORDS = MethodHandles.arrayElementVarHandle(long[].class);
    private static final ValueLayout.OfLong WIRE_WORD =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int GROUP_SHIFT = 6;

    private final long npages;
    private volatile Half live;

    /// All zeros, except for bits of overtaken setters. Belongs to the thread that may harvest.
    private Half other;

    /// A group as it was taken, or a part of a reader's bitmap. Belongs to the thread that may
    /// harvest.
    private final long[] chunk = new long[GROUP_WORDS];

    /// Words and their summary, for one period of being live.
    private static final class Half {
        final long[] words;
        final long[] summary;

        Half(long[] words, long[] summary) {
            this.words = words;
            this.summary = summary;
        }

        Half sameArrays() {
            return new Half(words, summary);
        }
    }

    /// Makes a bitmap of zeros.
    ///
    /// @param npages pages of the slot, 1 to [#MAX_PAGES]
    public DirtyBitmap(long npages) {
        if (npages < 1 || npages > MAX_PAGES) {
            throw new IllegalArgumentException("npages=" + npages);
        }
        this.npages = npages;
        this.live = emptyHalf(npages);
        this.other = emptyHalf(npages);
    }

    private static Half emptyHalf(long npages) {
        int words = wordsFor(npages);
        int groups = (words + GROUP_WORDS - 1) >>> GROUP_SHIFT;
        return new Half(new long[words], new long[wordsFor(groups)]);
    }

    /// Makes a bitmap whose bits are all set; the bits after the last page stay 0.
    public static DirtyBitmap allOnes(long npages) {
        DirtyBitmap bitmap = new DirtyBitmap(npages);
        Half half = bitmap.live;
        Arrays.fill(half.words, -1L);
        if ((npages & (Long.SIZE - 1)) != 0) {
            half.words[half.words.length - 1] = (1L << npages) - 1;
        }
        for (int word = 0; word < half.words.length; word += GROUP_WORDS) {
            flagGroup(half, word);
        }
        return bitmap;
    }

    /// The words that hold `npages` bits.
    public static int wordsFor(long npages) {
        return Math.toIntExact((npages + Long.SIZE - 1) / Long.SIZE);
    }

    /// Pages of the slot.
    public long npages() {
        return npages;
    }

    /// Words of the live half.
    public int words() {
        return live.words.length;
    }

    /// Bytes of the live half: what a reader of the log gets.
    public long sizeBytes() {
        return (long) words() * Long.BYTES;
    }

    /// Sets the bit of page `index`.
    public void set(long index) {
        setInLive(wordOf(index), 1L << index);
    }

    /// Sets bits of one word.
    ///
    /// @param bits none of them at or after [#npages]
    public void setAll(int word, long bits) {
        if (bits == 0) {
            return;
        }
        wordOf((long) word * Long.SIZE + (Long.SIZE - 1 - Long.numberOfLeadingZeros(bits)));
        setInLive(word, bits);
    }

    private void setInLive(int word, long bits) {
        Half half;
        do {
            half = live;
            or(half.words, word, bits);
            flagGroup(half, word);
        } while (live != half);
    }

    /// Whether the bit of page `index` is set.
    public boolean test(long index) {
        return ((long) WORDS.getVolatile(live.words, wordOf(index)) & 1L << index) != 0;
    }

    /// Clears a word. Only for the thread that may harvest.
    ///
    /// @return the bits that were set
    public long getAndClear(int word) {
        return (long) WORDS.getAndSet(live.words, word, 0L);
    }

    /// Clears some bits of a word. Only for the thread that may harvest.
    ///
    /// @return those of `bits` that were set
    public long clear(int word, long bits) {
        long[] words = live.words;
        while (true) {
            long before = (long) WORDS.getVolatile(words, word);
            if ((before & bits) == 0 || WORDS.compareAndSet(words, word, before, before & ~bits)) {
                return before & bits;
            }
        }
    }

    /// Whether no bit is set. Cheap if the bitmap has been clean for a while.
    public boolean isEmpty() {
        Half half = live;
        for (int i = 0; i < half.summary.length; i++) {
            for (long groups = (long) WORDS.getVolatile(half.summary, i);
                    groups != 0;
                    groups &= groups - 1) {
                if (!isGroupEmpty(half, groupOf(i, groups))) {
                    return false;
                }
            }
        }
        return true;
    }

    /// Clears every word that has a set bit and passes it on, in ascending order. This harvest or
    /// the next one finds bits that are set during the call.
    ///
    /// @param sink gets each word; if it throws, its word and all that follow stay set
    /// @return whether a bit was set
    public boolean harvest(DirtyWords sink) {
        return harvestGroups((firstWord, words, count) -> handOver(firstWord, words, count, sink));
    }

    /// Passes on the words of a group that have a set bit, and zeroes each when it is passed on: if
    /// the sink throws, the rest stays set.
    public static void handOver(int firstWord, long[] words, int count, DirtyWords sink) {
        for (int i = 0; i < count; i++) {
            long bits = words[i];
            if (bits != 0) {
                sink.accept(firstWord + i, bits);
                words[i] = 0;
            }
        }
    }

    /// Takes 64 words at once.
    @FunctionalInterface
    public interface Groups {
        /// @param firstWord the word that `words[0]` is; a multiple of 64
        /// @param words not all 0; valid during the call
        /// @param count the number of words, fewer than 64 only at the end
        void accept(int firstWord, long[] words, int count);
    }

    /// As [#harvest], by groups.
    ///
    /// @param sink gets each group that has a set bit; if it throws, the nonzero rest of `words`
    ///   and all later groups stay set
    public boolean harvestGroups(Groups sink) {
        Half taken = live;
        if (!isFlagged(taken)) {
            return false;
        }
        live = other.sameArrays();
        other = taken;
        boolean any = false;
        int i = 0;
        long groups = 0;
        try {
            for (; i < taken.summary.length; i++) {
                groups = takeFlags(taken, i);
                for (; groups != 0; groups &= groups - 1) {
                    any |= takeGroup(taken, groupOf(i, groups), sink);
                }
            }
        } finally {
            if (i < taken.summary.length) {
                putBack(taken, i, groups);
            }
        }
        return any;
    }

    private static boolean isFlagged(Half half) {
        for (int i = 0; i < half.summary.length; i++) {
            if ((long) WORDS.getVolatile(half.summary, i) != 0) {
                return true;
            }
        }
        return false;
    }

    private static long takeFlags(Half taken, int i) {
        return (long) WORDS.getVolatile(taken.summary, i) == 0
                ? 0
                : (long) WORDS.getAndSet(taken.summary, i, 0L);
    }

    private boolean takeGroup(Half taken, int group, Groups sink) {
        int first = group << GROUP_SHIFT;
        int count = Math.min(GROUP_WORDS, taken.words.length - first);
        long seen = 0;
        for (int i = 0; i < count; i++) {
            long bits = (long) WORDS.getVolatile(taken.words, first + i);
            chunk[i] = bits;
            seen |= bits;
        }
        if (seen == 0) {
            return false;
        }
        Arrays.fill(taken.words, first, first + count, 0);
        boolean accepted = false;
        try {
            sink.accept(first, chunk, count);
            accepted = true;
        } finally {
            if (!accepted) {
                for (int i = 0; i < count; i++) {
                    setAll(first + i, chunk[i]);
                }
            }
        }
        return true;
    }

    /// Sets unprocessed flags again: those of the summary word above the lowest, which is done, and
    /// those of all later summary words.
    private void putBack(Half taken, int summaryWord, long groups) {
        long left = groups & (groups - 1);
        for (int i = summaryWord; i < taken.summary.length; i++) {
            for (; left != 0; left &= left - 1) {
                takeGroup(
                        taken,
                        groupOf(i, left),
                        (firstWord, words, count) -> {
                            for (int word = 0; word < count; word++) {
                                setAll(firstWord + word, words[word]);
                            }
                        });
            }
            left = i + 1 < taken.summary.length ? takeFlags(taken, i + 1) : 0;
        }
    }

    /// Passes on every word that has a set bit, in ascending order, and leaves it unchanged.
    public void forEachWord(DirtyWords sink) {
        Half half = live;
        for (int i = 0; i < half.summary.length; i++) {
            for (long groups = (long) WORDS.getVolatile(half.summary, i);
                    groups != 0;
                    groups &= groups - 1) {
                int first = groupOf(i, groups) << GROUP_SHIFT;
                for (int word = first; word < groupEnd(half, first); word++) {
                    long bits = (long) WORDS.getVolatile(half.words, word);
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

    /// Takes all bits, as [#harvestGroups], and copies the log out.
    ///
    /// @param target of at least [#sizeBytes] bytes; null if the copy must fail
    /// @return whether a bit was set
    public boolean harvestInto(@Nullable MemorySegment target, Groups sink) {
        if (target == null) {
            return harvestGroups(sink);
        }
        long[] doneBytes = new long[1];
        boolean any =
                harvestGroups((firstWord, words, count) -> {
                    sink.accept(firstWord, words, count);
                    long at = (long) firstWord * Long.BYTES;
                    zero(target, doneBytes[0], at);
                    MemorySegment.copy(words, 0, target, WIRE_WORD, at, count);
                    doneBytes[0] = at + (long) count * Long.BYTES;
                });
        zero(target, doneBytes[0], sizeBytes());
        return any;
    }

    private static void zero(MemorySegment target, long fromBytes, long toBytes) {
        if (fromBytes < toBytes) {
            target.asSlice(fromBytes, toBytes - fromBytes).fill((byte) 0);
        }
    }

    /// Copies the live half out, word by word.
    ///
    /// @param target of at least [#sizeBytes] bytes
    public void copyLive(MemorySegment target) {
        long[] words = live.words;
        MemorySegment.copy(words, 0, target, WIRE_WORD, 0, words.length);
    }

    /// Clears the bits in a reader's bitmap. Each of its words is read once, so that a concurrent
    /// change by the reader has no effect. Only for the thread that may harvest.
    ///
    /// @param firstWord the word that corresponds to the first word of `named`
    /// @param nwords the number of words; they lie within the bitmap, and `named` is as long
    /// @param cleared gets the bits that this call cleared
    /// @return whether it cleared a bit
    public boolean clearNamed(int firstWord, int nwords, MemorySegment named, DirtyWords cleared) {
        boolean any = false;
        for (int done = 0; done < nwords; done += GROUP_WORDS) {
            int count = Math.min(GROUP_WORDS, nwords - done);
            MemorySegment.copy(named, WIRE_WORD, (long) done * Long.BYTES, chunk, 0, count);
            for (int i = 0; i < count; i++) {
                int word = firstWord + done + i;
                long bits = chunk[i] == 0 ? 0 : clear(word, chunk[i]);
                if (bits != 0) {
                    cleared.accept(word, bits);
                    any = true;
                }
            }
        }
        return any;
    }

    private static boolean isGroupEmpty(Half half, int group) {
        int first = group << GROUP_SHIFT;
        for (int word = first; word < groupEnd(half, first); word++) {
            if ((long) WORDS.getVolatile(half.words, word) != 0) {
                return false;
            }
        }
        return true;
    }

    private static void flagGroup(Half half, int word) {
        int group = word >>> GROUP_SHIFT;
        int i = group >>> GROUP_SHIFT;
        if (((long) WORDS.getVolatile(half.summary, i) & 1L << group) == 0) {
            or(half.summary, i, 1L << group);
        }
    }

    /// Equivalent to `getAndBitwiseOr`, which is also a loop; a search of interleavings can look
    /// into this one.
    private static void or(long[] words, int i, long bits) {
        long before;
        do {
            before = (long) WORDS.getVolatile(words, i);
        } while (!WORDS.compareAndSet(words, i, before, before | bits));
    }

    private static int groupOf(int summaryWord, long groups) {
        return (summaryWord << GROUP_SHIFT) + Long.numberOfTrailingZeros(groups);
    }

    private static int groupEnd(Half half, int firstWord) {
        return Math.min(firstWord + GROUP_WORDS, half.words.length);
    }

    private int wordOf(long index) {
        if (index < 0 || index >= npages) {
            throw new IndexOutOfBoundsException("index=%d npages=%d".formatted(index, npages));
        }
        return (int) (index / Long.SIZE);
    }
}
