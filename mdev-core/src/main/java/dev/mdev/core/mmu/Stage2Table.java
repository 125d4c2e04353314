package dev.mdev.core.mmu;

import dev.mdev.core.addr.GfnRange;

import org.jspecify.annotations.Nullable;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;

/// The stage-2 page table of one address space: a radix tree of five levels with nine bits each, as
/// on x86-64. Leaves map 4 KiB (level 1), 2 MiB (level 2) or 1 GiB (level 3).
///
/// [#walk] takes no lock: entries and children are read with acquire and written with release. All
/// other methods are called with the MMU's lock held. Nodes that are dropped are left to the
/// collector, so that a walk that is in one may finish.
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

        void setEntryRelease(int index, long entry) {
            ENTRY.setRelease(entries, index, entry);
        }
    }

    /// Pages of 4 KiB that a leaf of `level` maps.
    static long pagesPerLeaf(int level) {
        return 1L << (BITS * (level - 1));
    }

    private static int indexAt(int level, long gfn) {
        return (int) (gfn >>> (BITS * (level - 1))) & (ENTRIES - 1);
    }

    /// The entry of one guest frame, of whatever leaf it is part.
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
                return Stage2Entry.NONE;
            }
            node = child;
        }
    }

    /// Installs a leaf, in place of whatever maps these frames now.
    ///
    /// @param gfn a multiple of the leaf's pages
    void installLocked(int level, long gfn, long entry) {
        Node node = root;
        while (node.level > level) {
            int index = indexAt(node.level, gfn);
            if (Stage2Entry.isPresent(node.entryAcquire(index))) {
                node.setEntryRelease(index, Stage2Entry.NONE);
                leaves[node.level]--;
            }
            Node child = node.childAcquire(index);
            if (child == null) {
                child = new Node(node.level - 1);
                node.setChildRelease(index, child);
            }
            node = child;
        }
        int index = indexAt(level, gfn);
        Node below = node.childAcquire(index);
        if (below != null) {
            forgetLeaves(below);
            node.setChildRelease(index, null);
        }
        if (!Stage2Entry.isPresent(node.entryAcquire(index))) {
            leaves[level]++;
        }
        node.setEntryRelease(index, entry);
    }

    private void forgetLeaves(Node node) {
        for (int index = 0; index < ENTRIES; index++) {
            if (Stage2Entry.isPresent(node.entryAcquire(index))) {
                leaves[node.level]--;
            }
            Node child = node.childAcquire(index);
            if (child != null) {
                forgetLeaves(child);
            }
        }
    }

    /// Drops every leaf.
    ///
    /// @return whether there was one
    boolean zapAllLocked() {
        boolean any = leaves[LEVEL_4K] + leaves[LEVEL_2M] + leaves[LEVEL_1G] > 0;
        root = new Node(TOP_LEVEL);
        Arrays.fill(leaves, 0);
        return any;
    }

    /// Drops every leaf that maps one of the frames, huge ones as a whole.
    ///
    /// @return whether there was one
    boolean zapLocked(GfnRange range) {
        return change(root, 0, range, (entry, level) -> Stage2Entry.NONE);
    }

    /// Drops the leaves of 4 KiB among the frames.
    ///
    /// @return whether there was one
    boolean zapSmallLocked(GfnRange range) {
        return change(
                root, 0, range, (entry, level) -> level == LEVEL_4K ? Stage2Entry.NONE : entry);
    }

    /// Takes the right to write from every leaf that maps one of the frames.
    ///
    /// @return whether one had it
    boolean writeProtectLocked(GfnRange range) {
        return change(root, 0, range, (entry, level) -> Stage2Entry.writeProtected(entry));
    }

    private boolean change(Node node, long nodeGfn, GfnRange range, Change change) {
        long step = pagesPerLeaf(node.level);
        long firstIndex = Math.max(0, (range.firstGfn() - nodeGfn) / step);
        boolean any = false;
        for (long index = firstIndex; index < ENTRIES; index++) {
            long gfn = nodeGfn + index * step;
            if (gfn >= range.endGfn()) {
                break;
            }
            int i = (int) index;
            Node child = node.childAcquire(i);
            if (child != null) {
                any |= change(child, gfn, range, change);
            }
            any |= changeEntry(node, i, change);
        }
        return any;
    }

    private boolean changeEntry(Node node, int index, Change change) {
        long entry = node.entryAcquire(index);
        if (!Stage2Entry.isPresent(entry)) {
            return false;
        }
        long changed = change.apply(entry, node.level);
        if (changed == entry) {
            return false;
        }
        if (!Stage2Entry.isPresent(changed)) {
            leaves[node.level]--;
        }
        node.setEntryRelease(index, changed);
        return true;
    }

    @FunctionalInterface
    private interface Change {
        long apply(long entry, int level);
    }

    /// How many leaves of the level there are (Linux `pages_4k`, `pages_2m`, `pages_1g`
    /// statistics).
    long leavesLocked(int level) {
        return leaves[level];
    }
}
