package dev.mdev.core.topology;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;

/// Records a listener's calls, and derives the ranges from these calls alone.
final class Recorder implements TopologyListener {
    final List<String> heard = new ArrayList<>();
    private NavigableMap<Long, FlatRange> ranges = new TreeMap<>(Long::compareUnsigned);
    private NavigableMap<Long, FlatRange> before = ranges;
    private boolean refusesNext;

    /// Makes the next commit fail.
    void refuseNext() {
        refusesNext = true;
    }

    Collection<FlatRange> ranges() {
        return ranges.values();
    }

    @Override
    public void begin() {
        heard.add("begin");
        before = new TreeMap<>(ranges);
    }

    @Override
    public void regionDel(FlatRange range) {
        heard.add("del " + range);
        if (!ranges.remove(range.firstGpa(), range)) {
            throw new AssertionError("deleted what was not there: " + range);
        }
    }

    @Override
    public void regionAdd(FlatRange range) {
        heard.add("add " + range);
        if (ranges.put(range.firstGpa(), range) != null) {
            throw new AssertionError("added over another: " + range);
        }
    }

    @Override
    public void regionNop(FlatRange range) {
        heard.add("nop " + range);
    }

    @Override
    public void logStart(FlatRange range, Set<DirtyClient> had) {
        heard.add("start " + range + " before " + had);
        ranges.put(range.firstGpa(), range);
    }

    @Override
    public void logStop(FlatRange range, Set<DirtyClient> had) {
        heard.add("stop " + range + " before " + had);
        ranges.put(range.firstGpa(), range);
    }

    @Override
    public void commit() {
        heard.add("commit");
        if (refusesNext) {
            refusesNext = false;
            ranges = before;
            throw new MdevException(Errno.ENOMEM, "asked to refuse");
        }
    }
}
