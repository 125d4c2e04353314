package dev.mdev.gpu;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Aperture;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/// One device's VRAM: which physical page each of the guest's pages is.
///
/// The guest sees its share as pages 0, 1, 2... of BAR 0. In the aperture the share may lie in
/// several extents, and with the setting `permute` its pages are scattered as well:
///
///     guest:     | 0 1 2 3 | 4 5 |            | 0 | 1 | 2 | 3 | 4 | 5 |   permuted
///     aperture:  | 9 a b c | 3 4 |            | c | 4 | 9 | a | 3 | b |
///
/// Which physical page belongs to a guest's page changes only by [#moveTo], while nobody has the
/// device. All methods may be called by any
/// thread.
final class Vram {
    /// A prime, more than any share has pages: multiplying by it modulo the number of pages hits
    /// every page once.
    private static final long SCATTER = 0x9E37_79B1L;

    /// Guest pages that are neighbours in the aperture too.
    private record Run(long firstPage, PfnRange pfns) {
        long endPage() {
            return firstPage + pfns.npages();
        }
    }

    private final Aperture aperture;
    private volatile List<Run> runs;
    private final long npages;
    private final int grantPages;
    private final boolean permute;

    /// Pages that may hold something: granted to the guest, or written by the engine.
    @GuardedBy("this")
    private final BitSet used = new BitSet();

    Vram(Aperture aperture, PoolShare share, GpuSettings settings) {
        this.aperture = aperture;
        this.runs = runsOf(share);
        this.npages = share.npages();
        this.grantPages = settings.permute() ? 1 : settings.grantPages();
        this.permute = settings.permute();
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

    /// Goes on with other pages, which have the content of the old ones. The guest has no mapping
    /// and the engine does not run.
    void moveTo(PoolShare share) {
        runs = runsOf(share);
    }

    long sizeBytes() {
        return Page.bytesOf(npages);
    }

    /// Pages that may hold something.
    synchronized int usedPages() {
        return used.cardinality();
    }

    /// The answer to a guest that touched BAR 0: the longest run around the page that is in one
    /// piece in the aperture and lies in the request's window, cut to what the setting allows.
    MapDecision decide(MapRequest request) {
        long page = request.page();
        if (page >= npages) {
            return new MapDecision.Deny("page=0x%x is past the end of VRAM".formatted(page));
        }
        Run run = runAt(page);
        long first = Math.max(request.firstPage(), run.firstPage());
        long end = Math.min(request.endPage(), run.endPage());
        if (end - first > grantPages) {
            // Chunks at multiples of their size, so that neighbouring faults do not overlap; a
            // chunk that the run cuts is moved, so that no grant is shorter than it could be.
            first = Math.clamp(page - page % grantPages, first, end - grantPages);
            end = first + grantPages;
        }
        markUsed(first, end);
        long firstPfn = run.pfns().firstPfn() + (first - run.firstPage());
        return new MapDecision.Grant(first, new PfnRange(firstPfn, end - first), Prot.READ_WRITE);
    }

    private Run runAt(long page) {
        long inShare = permute ? page * SCATTER % npages : page;
        for (Run run : runs) {
            if (inShare < run.endPage()) {
                return permute ? singlePage(page, run, inShare) : run;
            }
        }
        throw new IndexOutOfBoundsException("page=" + page);
    }

    private static Run singlePage(long page, Run run, long inShare) {
        long pfn = run.pfns().firstPfn() + (inShare - run.firstPage());
        return new Run(page, new PfnRange(pfn, 1));
    }

    private synchronized void markUsed(long firstPage, long endPage) {
        used.set((int) firstPage, (int) endPage);
    }

    /// Copies from VRAM.
    void read(long offsetBytes, MemorySegment destination) {
        forEachPiece(
                offsetBytes,
                destination.byteSize(),
                (inAperture, done, length) ->
                        aperture.read(inAperture, destination.asSlice(done, length)));
    }

    /// Copies to VRAM.
    void write(long offsetBytes, MemorySegment source) {
        markUsed(
                Page.numberOf(offsetBytes),
                Page.countFor(Math.addExact(offsetBytes, source.byteSize())));
        forEachPiece(
                offsetBytes,
                source.byteSize(),
                (inAperture, done, length) ->
                        aperture.write(inAperture, source.asSlice(done, length)));
    }

    /// Sets bytes to zero. Pages that hold nothing are left alone.
    void clear(long offsetBytes, long lengthBytes) {
        long endBytes = offsetBytes + lengthBytes;
        int page = nextUsed(Page.numberOf(offsetBytes));
        while (page >= 0 && Page.addressOf(page) < endBytes) {
            long first = Math.max(offsetBytes, Page.addressOf(page));
            long end = Math.min(endBytes, Page.addressOf(page + 1L));
            forEachPiece(
                    first,
                    end - first,
                    (inAperture, done, length) -> aperture.fill(inAperture, length, (byte) 0));
            page = nextUsed(page + 1L);
        }
    }

    private synchronized int nextUsed(long fromPage) {
        return used.nextSetBit((int) fromPage);
    }

    /// Brings back the state after creation. The guest has no mapping and the engine does not run.
    void reset() {
        clear(0, sizeBytes());
        synchronized (this) {
            used.clear();
        }
    }

    private interface Piece {
        void accept(long inAperture, long done, long length);
    }

    private void forEachPiece(long offsetBytes, long lengthBytes, Piece piece) {
        long done = 0;
        while (done < lengthBytes) {
            long offset = offsetBytes + done;
            Run run = runAt(Page.numberOf(offset));
            long inRun = offset - Page.addressOf(run.firstPage());
            long length = Math.min(lengthBytes - done, Page.bytesOf(run.pfns().npages()) - inRun);
            long firstPfn = run.pfns().firstPfn() - aperture.pfns().firstPfn();
            piece.accept(Page.addressOf(firstPfn) + inRun, done, length);
            done += length;
        }
    }

    /// Writes which pages are used; what they hold is carried by the host.
    void save(DataOutput out) throws IOException {
        byte[] bits;
        synchronized (this) {
            bits = used.toByteArray();
        }
        out.writeInt(bits.length);
        out.write(bits);
    }

    void restore(DataInput in) throws IOException {
        int length = in.readInt();
        if (length < 0 || length > (npages + 7) / 8) {
            throw new IOException("bytes of used pages: " + length);
        }
        byte[] bits = new byte[length];
        in.readFully(bits);
        BitSet read = BitSet.valueOf(bits);
        if (read.length() > npages) {
            throw new IOException("used page: " + (read.length() - 1));
        }
        synchronized (this) {
            used.clear();
            used.or(read);
        }
    }
}
