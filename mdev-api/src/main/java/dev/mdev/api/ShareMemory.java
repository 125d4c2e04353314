package dev.mdev.api;

import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/// A device's share of a pool as one piece of memory: its pages are 0, 1, 2..., at any place in the
/// aperture.
///
///     share:     | 0 1 2 3 | 4 5 |
///     aperture:  | 9 a b c | 3 4 |
///
/// Only [#moveTo] changes which physical page belongs to a page of the share. For pages that come
/// and go there is [ElasticMemory]. Any thread may call all methods.
public final class ShareMemory implements LinearMemory {
    private final Aperture aperture;
    private final String pool;
    private volatile List<Run> runs;
    private final long npages;

    private ShareMemory(Aperture aperture, PoolShare share) {
        this.aperture = aperture;
        this.pool = share.pool();
        this.runs = runsOf(share);
        this.npages = share.npages();
    }

    /// The pages in the order of the share's extents.
    public static ShareMemory inOrder(Aperture aperture, PoolShare share) {
        return new ShareMemory(aperture, share);
    }

    /// Switches to other pages of the same pool, to which the host has copied the content of the
    /// old ones.
    ///
    /// @param shares the device's shares, from [MdevDevice#shareMoved]
    /// @throws java.util.NoSuchElementException if there is none of the pool
    /// @throws IllegalArgumentException if the number of pages differs
    public void moveTo(List<PoolShare> shares) {
        PoolShare moved =
                shares.stream()
                        .filter(share -> share.pool().equals(pool))
                        .findFirst()
                        .orElseThrow();
        if (moved.npages() != npages) {
            throw new IllegalArgumentException(
                    "npages=%d were=%d".formatted(moved.npages(), npages));
        }
        runs = runsOf(moved);
    }

    private static List<Run> runsOf(PoolShare share) {
        List<Run> runs = new ArrayList<>();
        long page = 0;
        for (PfnRange extent : share.extents()) {
            Run last = runs.isEmpty() ? null : runs.getLast();
            if (last != null && last.pfns().endPfn() == extent.firstPfn()) {
                runs.removeLast();
                long both = last.pfns().npages() + extent.npages();
                runs.add(new Run(last.firstPage(), new PfnRange(last.pfns().firstPfn(), both)));
            } else {
                runs.add(new Run(page, extent));
            }
            page += extent.npages();
        }
        return List.copyOf(runs);
    }

    /// Pages of the share that are also neighbours in the aperture.
    ///
    /// @param firstPage the share's page of the first of `pfns`
    private record Run(long firstPage, PfnRange pfns) {
        long endPage() {
            return firstPage + pfns.npages();
        }
    }

    /// The physical page that is page `page` of the share.
    ///
    /// @throws IndexOutOfBoundsException if the share has no such page
    public long pfnOf(long page) {
        Run run = runAround(page);
        return run.pfns().firstPfn() + (page - run.firstPage());
    }

    /// The answer to a fault in a region whose page 0 is the share's page 0: as many pages around
    /// the touched one as are in one piece, in the request's window, and at most `mostPages`.
    ///
    /// A piece longer than `mostPages` is cut at multiples of it, so that the grants for
    /// neighbouring faults do not overlap; at the end of the piece, the grant is moved to keep its
    /// full length.
    ///
    /// @param mostPages at least 1
    /// @throws IndexOutOfBoundsException if the share does not have the touched page
    public MapDecision.Grant grant(MapRequest request, long mostPages, Prot prot) {
        Run run = runAround(request.page());
        long first = Math.max(request.firstPage(), run.firstPage());
        long end = Math.min(request.endPage(), run.endPage());
        if (end - first > mostPages) {
            long page = request.page();
            first = Math.clamp(page - page % mostPages, first, end - mostPages);
            end = first + mostPages;
        }
        long firstPfn = run.pfns().firstPfn() + (first - run.firstPage());
        return new MapDecision.Grant(first, new PfnRange(firstPfn, end - first), prot);
    }

    private Run runAround(long page) {
        if (page < 0 || page >= npages) {
            throw new IndexOutOfBoundsException("page=" + page + " npages=" + npages);
        }
        List<Run> current = runs;
        int i = 0;
        while (page >= current.get(i).endPage()) {
            i++;
        }
        return current.get(i);
    }

    /// Pages of the share.
    public long npages() {
        return npages;
    }

    /// Bytes of the share.
    public long sizeBytes() {
        return Page.bytesOf(npages);
    }

    /// @throws IndexOutOfBoundsException if some bytes are outside the share; those before may have
    ///   been copied
    @Override
    public void read(long offsetBytes, MemorySegment destination) {
        forEachPiece(
                offsetBytes,
                destination.byteSize(),
                (inAperture, done, length) ->
                        aperture.read(inAperture, destination.asSlice(done, length)));
    }

    /// @throws IndexOutOfBoundsException if some bytes are outside the share; those before may have
    ///   been copied
    @Override
    public void write(long offsetBytes, MemorySegment source) {
        forEachPiece(
                offsetBytes,
                source.byteSize(),
                (inAperture, done, length) ->
                        aperture.write(inAperture, source.asSlice(done, length)));
    }

    /// Sets `lengthBytes` bytes to `value`.
    ///
    /// @throws IndexOutOfBoundsException if some bytes are outside the share; those before may have
    ///   been set
    public void fill(long offsetBytes, long lengthBytes, byte value) {
        forEachPiece(
                offsetBytes,
                lengthBytes,
                (inAperture, _, length) -> aperture.fill(inAperture, length, value));
    }

    private interface Piece {
        void accept(long inAperture, long done, long length);
    }

    private void forEachPiece(long offsetBytes, long lengthBytes, Piece piece) {
        long done = 0;
        while (done < lengthBytes) {
            long offset = offsetBytes + done;
            Run run = runAround(Page.numberOf(offset));
            long inRun = offset - Page.addressOf(run.firstPage());
            long length = Math.min(lengthBytes - done, Page.bytesOf(run.pfns().npages()) - inRun);
            long firstPage = run.pfns().firstPfn() - aperture.pfns().firstPfn();
            piece.accept(Page.addressOf(firstPage) + inRun, done, length);
            done += length;
        }
    }
}
