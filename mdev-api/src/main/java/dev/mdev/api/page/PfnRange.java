package dev.mdev.api.page;

/// A run of neighbouring physical pages: `[firstPfn, firstPfn + npages)`.
///
/// @param firstPfn number of the first physical page, at least 0
/// @param npages pages in the run, at least 1
public record PfnRange(long firstPfn, long npages) {
    public PfnRange {
        if (firstPfn < 0 || npages < 1 || firstPfn > Long.MAX_VALUE - npages) {
            throw new IllegalArgumentException(
                    "not a pfn range: firstPfn=0x%x npages=%d".formatted(firstPfn, npages));
        }
    }

    /// The number of the first page after the run.
    public long endPfn() {
        return firstPfn + npages;
    }

    /// Whether page `pfn` is in the run.
    public boolean contains(long pfn) {
        return pfn >= firstPfn && pfn - firstPfn < npages;
    }

    /// Whether every page of `other` is in this run.
    public boolean contains(PfnRange other) {
        return other.firstPfn >= firstPfn && other.endPfn() <= endPfn();
    }

    /// Whether some page is in both runs.
    public boolean overlaps(PfnRange other) {
        return other.firstPfn < endPfn() && firstPfn < other.endPfn();
    }

    @Override
    public String toString() {
        return "pfns[0x%x, 0x%x)".formatted(firstPfn, endPfn());
    }
}
