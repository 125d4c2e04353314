package dev.mdev.core.addr;

/// A run of guest page frames: `[firstGfn, firstGfn + npages)`.
///
/// @param firstGfn first guest frame number, 0 to 2^52 - 1
/// @param npages pages in the run, at least 1
public record GfnRange(long firstGfn, long npages) {
    /// One more than the highest guest frame number: gpas have 64 bits.
    public static final long GFN_LIMIT = 1L << 52;

    public GfnRange {
        if (firstGfn < 0 || npages < 1 || firstGfn > GFN_LIMIT - npages) {
            throw new IllegalArgumentException(
                    "not a gfn range: firstGfn=0x%x npages=%d".formatted(firstGfn, npages));
        }
    }

    /// The first gfn after the run.
    public long endGfn() {
        return firstGfn + npages;
    }

    public boolean contains(long gfn) {
        return gfn >= firstGfn && gfn - firstGfn < npages;
    }

    public boolean overlaps(GfnRange other) {
        return other.firstGfn < endGfn() && firstGfn < other.endGfn();
    }

    @Override
    public String toString() {
        return "gfns[0x%x, 0x%x)".formatted(firstGfn, endGfn());
    }
}
