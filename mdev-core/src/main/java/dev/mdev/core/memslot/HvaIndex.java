package dev.mdev.core.memslot;

import dev.mdev.api.page.Page;
import dev.mdev.core.addr.HvaRange;

import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.Comparator;
import java.util.function.Consumer;

/// Finds the slots of a set whose host memory overlaps a range. Slots may share host memory, so
/// this is an interval tree: the array, sorted by first address, is the tree (the middle of a range
/// is the root of its subtree), and `subtreeEnds` has the highest end address of each subtree.
///
/// Never changes, except that the first query computes `subtreeEnds`: most sets are replaced before
/// any query. Threads that compute it at the same time get the same values.
final class HvaIndex {
    static final HvaIndex EMPTY = new HvaIndex(new Memslot[0]);

    private static final Comparator<Memslot> ORDER =
            Comparator.comparingLong(Memslot::hva).thenComparingInt(Memslot::id);

    private final Memslot[] byHva;
    private volatile long @Nullable [] subtreeEnds;

    private HvaIndex(Memslot[] byHva) {
        this.byHva = byHva;
    }

    HvaIndex with(Memslot slot) {
        return new HvaIndex(SlotArrays.inserted(byHva, -positionOf(slot) - 1, slot));
    }

    /// Without the slot that has the id and address of `slot`.
    HvaIndex without(Memslot slot) {
        return new HvaIndex(SlotArrays.removed(byHva, positionOf(slot)));
    }

    /// With `slot` in place of the slot that has its id and address.
    HvaIndex replacing(Memslot slot) {
        return new HvaIndex(SlotArrays.replaced(byHva, positionOf(slot), slot));
    }

    void forEachOverlapping(HvaRange range, Consumer<Memslot> action) {
        new Query(range, action).visit(0, byHva.length);
    }

    private int positionOf(Memslot slot) {
        return Arrays.binarySearch(byHva, slot, ORDER);
    }

    private long[] ends() {
        long[] ends = subtreeEnds;
        if (ends == null) {
            ends = new long[byHva.length];
            fill(ends, 0, ends.length);
            subtreeEnds = ends;
        }
        return ends;
    }

    private long fill(long[] ends, int from, int to) {
        if (from >= to) {
            return Long.MIN_VALUE;
        }
        int root = (from + to) >>> 1;
        long below = Math.max(fill(ends, from, root), fill(ends, root + 1, to));
        ends[root] = Math.max(below, endOf(byHva[root]));
        return ends[root];
    }

    private static long endOf(Memslot slot) {
        return slot.hva() + Page.bytesOf(slot.npages());
    }

    private final class Query {
        private final long[] ends = ends();
        private final HvaRange range;
        private final Consumer<Memslot> action;

        Query(HvaRange range, Consumer<Memslot> action) {
            this.range = range;
            this.action = action;
        }

        void visit(int from, int to) {
            if (from >= to) {
                return;
            }
            int root = (from + to) >>> 1;
            if (ends[root] <= range.startHva()) {
                return;
            }
            visit(from, root);
            Memslot slot = byHva[root];
            if (slot.hva() >= range.endHva()) {
                return;
            }
            if (endOf(slot) > range.startHva()) {
                action.accept(slot);
            }
            visit(root + 1, to);
        }
    }
}
