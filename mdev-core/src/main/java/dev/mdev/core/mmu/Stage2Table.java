package dev.mdev.core.mmu;

import dev.mdev.core.addr.GfnRange;

import org.jspecify.annotations.Nullable;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;

/// The stage-2 page table of one root: a radix tree of five levels with nine bits each, as on
/// x86-64. Leaves map 4 KiB (level 1), 2 MiB (level 2) or 1 GiB (level 3).
///
/// [#walk] and the compare-and-set methods take no lock; all others are called with the MMU's lock
/// held. Entries and children are read with acquire and written with release or compare-and-set, so
/// that a walker that just set a bit never undoes a lock holder's change. Dropped nodes are left to
/// the garbage collector, so that a walk inside one can finish.
final class Stage2Table {
    /// The level of 4 KiB leaves.
    static final int LEVEL_4K = 1;

    static final int LEVEL_2M = 2;
    static final int LEVEL_1G = 3;

    private static final int TOP_LEVEL = 5;
    private static final int BITS = 9;
    private static final int ENTRIES = 1 << BITS;

    private static final VarHandle ENTRY = MethodHandles.arrayElementVarHandle(long[].class);
    private static final VarHandle CHILD = MethodHandles.arrayElementVarHandle(Node[].class);

    private volatile Node root = new Node(TOP_LEVEL);
    private final long[] leaves = new long[LEVEL_1G + 1];
    private int nodes = 1;

    private static final class Node {
        final int level;
        final long[] entries = new long[ENTRIES];
        final @Nullable Node @Nullable [] children;

        Node(int level) {
            this.level = level;
            this.children = level == LEVEL_4K ? null : new Node[ENTRIES];
        }

        @Nullable Node childAcquire(int index) {
            return children == null ? null : (@Nullable Node) CHILD.getAcquire(children, index);
        }

        void setChildRelease(int index, @Nullable Node child) {
            if (children != null) {
                CHILD.setRelease(children, index, child);
            }
        }

        long entryAcquire(int index) {
            return (long) ENTRY.getAcquire(entries, index);
        }

        long exchange(int index, long entry) {
            return (long) ENTRY.getAndSet(entries, index, entry);
        }

        boolean compareAndSet(int index, long expected, long entry) {
            return ENTRY.compareAndSet(entries, index, expected, entry);
        }
    }

    /// Pages of 4 KiB that a leaf of `level` maps.
    static long pagesPerLeaf(int level) {
        return 1L << (BITS * (level - 1));
    }

    private static int indexAt(int level, long gfn) {
        return (int) (gfn >>> (BITS * (level - 1))) & (ENTRIES - 1);
    }

    /// The entry of one guest frame, from a leaf of any size; may be absent.
    long walk(long gfn) {
        Node node = root;
        while (true) {
            int index = indexAt(node.level, gfn);
            long entry = node.entryAcquire(index);
            if (Stage2Entry.isPresent(entry)) {
                return Stage2Entry.atIndex(entry, gfn & (pagesPerLeaf(node.level) - 1));
            }
            Node child = node.childAcquire(index);
            if (child == null) {
                return entry;
            }
            node = child;
        }
    }

    /// Sets the accessed bit of the leaf that maps a frame.
    void markAccessed(long gfn) {
        Node node = root;
        while (node != null) {
            int index = indexAt(node.level, gfn);
            long entry = node.entryAcquire(index);
            if (Stage2Entry.isPresent(entry)) {
                // If this fails, another thread changed the entry: a later walk sets the bit.
                var _ = node.compareAndSet(index, entry, Stage2Entry.accessed(entry));
                return;
            }
            node = node.childAcquire(index);
        }
    }

    /// Makes a 4 KiB leaf writable that is present, MMU-writable and read-only.
    ///
    /// @return whether it was such a leaf
    boolean makeWritable(long gfn) {
        Node node = root;
        while (node.level > LEVEL_4K) {
            int index = indexAt(node.level, gfn);
            Node child = node.childAcquire(index);
            if (Stage2Entry.isPresent(node.entryAcquire(index)) || child == null) {
                return false;
            }
            node = child;
        }
        int index = indexAt(LEVEL_4K, gfn);
        long entry = node.entryAcquire(index);
        return Stage2Entry.isPresent(entry)
                && Stage2Entry.isMmuWritable(entry)
                && !Stage2Entry.isWritable(entry)
                && node.compareAndSet(index, entry, Stage2Entry.madeWritable(entry));
    }

    /// Installs a leaf in place of the current mappings of these frames.
    ///
    /// @param gfn a multiple of the leaf's pages
    void installLocked(int level, long gfn, long entry) {
        Node node = root;
        while (node.level > level) {
            int index = indexAt(node.level, gfn);
            replaceLocked(node, index, Stage2Entry.NONE);
            Node child = node.childAcquire(index);
            if (child == null) {
                child = new Node(node.level - 1);
                nodes++;
                node.setChildRelease(index, child);
            }
            node = child;
        }
        int index = indexAt(level, gfn);
        replaceLocked(node, index, entry);
        Node below = node.childAcquire(index);
        if (below != null) {
            forgetLocked(below);
            node.setChildRelease(index, null);
        }
    }

    /// Replaces a large leaf that maps a frame by leaves of 4 KiB around the frame, and larger ones
    /// elsewhere, with the same rights.
    void splitLocked(long gfn) {
        Node node = root;
        while (node.level > LEVEL_4K) {
            int index = indexAt(node.level, gfn);
            long entry = node.entryAcquire(index);
            Node child = node.childAcquire(index);
            if (Stage2Entry.isPresent(entry)) {
                child = pieces(node.level - 1, entry);
                // First the parts, so that a walk always finds the frame.
                node.setChildRelease(index, child);
                replaceLocked(node, index, Stage2Entry.NONE);
            } else if (child == null) {
                return;
            }
            node = child;
        }
    }

    private Node pieces(int level, long entry) {
        Node node = new Node(level);
        nodes++;
        for (int i = 0; i < ENTRIES; i++) {
            replaceLocked(node, i, Stage2Entry.atIndex(entry, i * pagesPerLeaf(level)));
        }
        return node;
    }

    private void replaceLocked(Node node, int index, long entry) {
        long before = node.exchange(index, entry);
        leaves[Math.min(node.level, LEVEL_1G)] +=
                (Stage2Entry.isPresent(entry) ? 1 : 0) - (Stage2Entry.isPresent(before) ? 1 : 0);
    }

    private void forgetLocked(Node node) {
        nodes--;
        for (int index = 0; index < ENTRIES; index++) {
            if (Stage2Entry.isPresent(node.entryAcquire(index))) {
                leaves[node.level]--;
            }
            Node child = node.childAcquire(index);
            if (child != null) {
                forgetLocked(child);
            }
        }
    }

    /// Drops every leaf.
    ///
    /// @return whether there was one
    boolean zapAllLocked() {
        boolean any = leaves[LEVEL_4K] + leaves[LEVEL_2M] + leaves[LEVEL_1G] > 0;
        root = new Node(TOP_LEVEL);
        nodes = 1;
        Arrays.fill(leaves, 0);
        return any;
    }

    /// Changes every leaf that maps one of the frames, huge ones as a whole.
    ///
    /// @return whether one changed
    boolean changeLocked(GfnRange range, Change change) {
        return changeLocked(root, 0, range, change);
    }

    /// Takes write permission from the leaves that map some of 64 frames, huge ones as a whole.
    /// Walks down the tree once for all frames of a node, and skips absent subtrees.
    ///
    /// @param bits which frames, bit i for frame `firstGfn + i`
    /// @return whether one had the permission
    boolean writeProtectLocked(long firstGfn, long bits) {
        boolean any = false;
        long left = bits;
        while (left != 0) {
            long gfn = firstGfn + Long.numberOfTrailingZeros(left);
            Node node = root;
            int index = indexAt(node.level, gfn);
            while (node.level > LEVEL_4K && !Stage2Entry.isPresent(node.entryAcquire(index))) {
                Node child = node.childAcquire(index);
                if (child == null) {
                    break;
                }
                node = child;
                index = indexAt(node.level, gfn);
            }
            // This entry concerns all frames of the lowest node, or is one entry above it.
            boolean lowest = node.level == LEVEL_4K;
            long npages = lowest ? ENTRIES : pagesPerLeaf(node.level);
            long found = framesUpTo(firstGfn, (gfn | (npages - 1)) + 1);
            any |=
                    lowest
                            ? writeProtectLocked(node, firstGfn, left & found)
                            : changeEntryLocked(node, index, Change.WRITE_PROTECT);
            left &= ~found;
        }
        return any;
    }

    private boolean writeProtectLocked(Node node, long firstGfn, long bits) {
        boolean any = false;
        for (long left = bits; left != 0; left &= left - 1) {
            int index = indexAt(LEVEL_4K, firstGfn + Long.numberOfTrailingZeros(left));
            long entry = node.entryAcquire(index);
            while (Stage2Entry.isWritable(entry)
                    && !node.compareAndSet(
                            index, /* expected= */ entry, Stage2Entry.writeProtected(entry))) {
                entry = node.entryAcquire(index);
            }
            any |= Stage2Entry.isWritable(entry);
        }
        return any;
    }

    /// The bits of frames from `firstGfn` on that lie before `endGfn`.
    private static long framesUpTo(long firstGfn, long endGfn) {
        long count = endGfn - firstGfn;
        return count >= Long.SIZE ? -1L : (1L << count) - 1;
    }

    private boolean changeLocked(Node node, long nodeGfn, GfnRange range, Change change) {
        long step = pagesPerLeaf(node.level);
        long firstIndex = Math.max(0, (range.firstGfn() - nodeGfn) / step);
        boolean any = false;
        for (long index = firstIndex; index < ENTRIES; index++) {
            long gfn = nodeGfn + index * step;
            if (gfn >= range.endGfn()) {
                break;
            }
            Node child = node.childAcquire((int) index);
            if (child != null) {
                any |= changeLocked(child, gfn, range, change);
            }
            any |= changeEntryLocked(node, (int) index, change);
        }
        return any;
    }

    private boolean changeEntryLocked(Node node, int index, Change change) {
        while (true) {
            long entry = node.entryAcquire(index);
            if (!Stage2Entry.isPresent(entry)) {
                return false;
            }
            long changed = change.apply(entry, node.level);
            if (changed == entry) {
                return false;
            }
            if (node.compareAndSet(index, entry, changed)) {
                if (!Stage2Entry.isPresent(changed)) {
                    leaves[node.level]--;
                }
                return true;
            }
        }
    }

    /// The replacement of a present entry.
    @FunctionalInterface
    interface Change {
        /// Drops it.
        Change ZAP = (entry, level) -> Stage2Entry.NONE;

        /// Drops it if it is below a level.
        static Change zapBelow(int largest) {
            return (entry, level) -> level < largest ? Stage2Entry.NONE : entry;
        }

        /// Takes its write permission.
        Change WRITE_PROTECT = (entry, level) -> Stage2Entry.writeProtected(entry);

        /// Clears its accessed bit.
        Change AGE = (entry, level) -> Stage2Entry.notAccessed(entry);

        /// @return the new entry, or the same one to leave it unchanged
        long apply(long entry, int level);
    }

    /// The number of leaves of the level (Linux `pages_4k`, `pages_2m`, `pages_1g` statistics).
    long leavesLocked(int level) {
        return leaves[level];
    }

    /// The number of nodes of the tree.
    int nodesLocked() {
        return nodes;
    }
}
