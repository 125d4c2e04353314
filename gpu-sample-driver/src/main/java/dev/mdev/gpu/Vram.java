package dev.mdev.gpu;

import dev.mdev.api.Aperture;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

/// One device's VRAM: which physical page each of the guest's pages is.
///
/// The guest sees its share as pages 0, 1, 2... of BAR 0. In the aperture the share may lie in
/// several extents, and with the setting `permute` its pages are scattered as well.
final class Vram {
    /// A prime, more than any share has pages: multiplying by it modulo the number of pages hits
    /// every page once.
    private static final long SCATTER = 0x9E37_79B1L;

    private final Aperture aperture;
    private final PoolShare share;
    private final long npages;
    private final int grantPages;
    private final boolean permute;

    Vram(Aperture aperture, PoolShare share, GpuSettings settings) {
        this.aperture = aperture;
        this.share = share;
        this.npages = share.npages();
        this.grantPages = settings.permute() ? 1 : settings.grantPages();
        this.permute = settings.permute();
    }

    long npages() {
        return npages;
    }

    /// The answer to a guest that touched BAR 0: the longest run around the page that is in one
    /// piece in the aperture, lies in the request's window, and is not longer than the setting
    /// allows.
    MapDecision decide(MapRequest request) {
        long page = request.page();
        if (page >= npages) {
            return new MapDecision.Deny("page=0x%x is past the end of VRAM".formatted(page));
        }
        PfnRange run = runFrom(page);
        if (grantPages == 1) {
            return MapDecision.grantPage(request, run.firstPfn(), Prot.READ_WRITE);
        }
        long lowest = Math.max(request.firstPage(), page - pagesBefore(page));
        long end = Math.min(request.endPage(), page + run.npages());
        if (end - lowest > grantPages) {
            // Aligned chunks, as far as the run allows: neighbouring faults then do not overlap.
            long aligned = page - page % grantPages;
            lowest = Math.clamp(aligned, lowest, end - grantPages);
            end = lowest + grantPages;
        }
        long firstPfn = run.firstPfn() - (page - lowest);
        return new MapDecision.Grant(lowest, new PfnRange(firstPfn, end - lowest), Prot.READ_WRITE);
    }

    /// Takes the device's data out of the whole VRAM.
    void scrub() {
        for (PfnRange extent : share.extents()) {
            aperture.fill(
                    Page.bytesOf(extent.firstPfn() - aperture.pfns().firstPfn()),
                    Page.bytesOf(extent.npages()),
                    (byte) 0);
        }
    }

    /// The physical pages of guest page `page` and of those that follow it in one piece.
    private PfnRange runFrom(long page) {
        if (permute) {
            return new PfnRange(share.runFrom(page * SCATTER % npages).firstPfn(), 1);
        }
        return share.runFrom(page);
    }

    /// How many pages before `page` are in one piece with it.
    private long pagesBefore(long page) {
        long rest = page;
        for (PfnRange extent : share.extents()) {
            if (rest < extent.npages()) {
                return rest;
            }
            rest -= extent.npages();
        }
        throw new IndexOutOfBoundsException("page=" + page);
    }
}
