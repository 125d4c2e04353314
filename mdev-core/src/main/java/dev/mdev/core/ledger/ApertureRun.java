package dev.mdev.core.ledger;

import dev.mdev.api.page.PfnRange;
import dev.mdev.core.range.RangeSet;

/// Neighbouring pages of an aperture, counted from the aperture's first: like [PfnRange], but
/// stable over restarts, when the host numbers its pages again.
///
/// @param firstPage at least 0
/// @param npages at least 1
public record ApertureRun(long firstPage, long npages) {
    public ApertureRun {
        if (firstPage < 0 || npages < 1 || firstPage > Long.MAX_VALUE - npages) {
            throw new IllegalArgumentException(
                    "not a run: firstPage=%d npages=%d".formatted(firstPage, npages));
        }
    }

    /// The run of `pfns` in the aperture `aperturePfns`, in which it lies.
    public static ApertureRun of(PfnRange pfns, PfnRange aperturePfns) {
        return new ApertureRun(pfns.firstPfn() - aperturePfns.firstPfn(), pfns.npages());
    }

    static ApertureRun of(RangeSet.Range pages) {
        return new ApertureRun(pages.start(), pages.size());
    }

    /// The pages by the host's current numbers.
    public PfnRange pfnsIn(PfnRange aperturePfns) {
        return new PfnRange(aperturePfns.firstPfn() + firstPage, npages);
    }

    /// The first page after the run.
    public long endPage() {
        return firstPage + npages;
    }

    @Override
    public String toString() {
        return "pages[%d, %d)".formatted(firstPage, endPage());
    }
}
