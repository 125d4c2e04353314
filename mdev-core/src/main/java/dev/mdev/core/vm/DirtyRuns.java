package dev.mdev.core.vm;

import java.util.ArrayList;
import java.util.List;

/// Collects dirty pages as runs, from the words of a bitmap in ascending order.
final class DirtyRuns {
    private final List<DirtyPages.Run> runs = new ArrayList<>();
    private long first;
    private long count;

    /// The number of runs so far.
    int size() {
        return runs.size() + (count > 0 ? 1 : 0);
    }

    void add(int word, long bits) {
        long base = (long) word * Long.SIZE;
        for (long left = bits; left != 0; left &= left - 1) {
            addPage(base + Long.numberOfTrailingZeros(left));
        }
    }

    private void addPage(long page) {
        if (count > 0 && page == first + count) {
            count++;
            return;
        }
        finish();
        first = page;
        count = 1;
    }

    private void finish() {
        if (count > 0) {
            runs.add(new DirtyPages.Run(first, count));
            count = 0;
        }
    }

    List<DirtyPages.Run> all() {
        finish();
        return runs;
    }
}
