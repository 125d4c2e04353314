package dev.mdev.core.ledger;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// A set of an aperture's pages, in as few runs as possible. Not safe for use by several threads.
public final class RunSet {
    /// The first page after a run, by its first page. Runs neither overlap nor touch.
    private final TreeMap<Long, Long> ends = new TreeMap<>();

    public RunSet() {}

    public RunSet(Collection<ApertureRun> runs) {
        runs.forEach(this::add);
    }

    /// Adds pages; some may be in the set.
    public void add(ApertureRun run) {
        long first = run.firstPage();
        long end = run.endPage();
        Map.Entry<Long, Long> near = ends.floorEntry(end);
        while (near != null && near.getValue() >= first) {
            first = Math.min(first, near.getKey());
            end = Math.max(end, near.getValue());
            ends.remove(near.getKey());
            near = ends.floorEntry(end);
        }
        ends.put(first, end);
    }

    /// Removes pages; some may not be in the set.
    public void remove(ApertureRun run) {
        Map.Entry<Long, Long> hit = ends.lowerEntry(run.endPage());
        while (hit != null && hit.getValue() > run.firstPage()) {
            ends.remove(hit.getKey());
            if (hit.getValue() > run.endPage()) {
                ends.put(run.endPage(), hit.getValue());
            }
            if (hit.getKey() < run.firstPage()) {
                ends.put(hit.getKey(), run.firstPage());
            }
            hit = ends.lowerEntry(hit.getKey());
        }
    }

    public void clear() {
        ends.clear();
    }

    /// The pages that are both in the set and in `run`.
    public List<ApertureRun> within(ApertureRun run) {
        List<ApertureRun> found = new ArrayList<>();
        for (ApertureRun mine : runs()) {
            long first = Math.max(mine.firstPage(), run.firstPage());
            long end = Math.min(mine.endPage(), run.endPage());
            if (first < end) {
                found.add(new ApertureRun(first, end - first));
            }
        }
        return found;
    }

    /// The runs, ascending; no two touch.
    public List<ApertureRun> runs() {
        List<ApertureRun> runs = new ArrayList<>(ends.size());
        ends.forEach((first, end) -> runs.add(new ApertureRun(first, end - first)));
        return runs;
    }

    public long npages() {
        return runs().stream().mapToLong(ApertureRun::npages).sum();
    }

    public boolean isEmpty() {
        return ends.isEmpty();
    }

    @Override
    public String toString() {
        return runs().toString();
    }
}
