package dev.mdev.core.elastic;

import dev.mdev.api.ElasticMemory;
import dev.mdev.api.page.PfnRange;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;

/// Units that stay where they are.
final class UnitPin implements ElasticMemory.Pin {
    private final Share device;
    private final List<Unit> units;
    private final List<PfnRange> pfns;
    private final Runnable release;
    private final AtomicBoolean closed = new AtomicBoolean();

    /// @param release lets the units go
    UnitPin(Share device, List<Unit> units, long firstPage, long npages, Runnable release) {
        this.device = device;
        this.units = List.copyOf(units);
        this.pfns = rangesOf(firstPage, npages);
        this.release = release;
    }

    private List<PfnRange> rangesOf(long firstPage, long npages) {
        List<PfnRange> ranges = new ArrayList<>();
        for (Unit unit : units) {
            long start = device.firstPageOf(unit);
            long first = Math.max(firstPage, start);
            long end = Math.min(firstPage + npages, start + device.unitPages);
            long pfn = unit.pfn + (first - start);
            PfnRange last = ranges.isEmpty() ? null : ranges.getLast();
            if (last != null && last.endPfn() == pfn) {
                ranges.removeLast();
                ranges.add(new PfnRange(last.firstPfn(), last.npages() + end - first));
            } else {
                ranges.add(new PfnRange(pfn, end - first));
            }
        }
        return List.copyOf(ranges);
    }

    @Override
    public List<PfnRange> pfns() {
        return pfns;
    }

    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            release.run();
        }
    }
}
