package dev.mdev.gpu;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Aperture;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.PoolShare;
import dev.mdev.api.ShareMemory;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Map;

/// VRAM whose pages all belong to the device, and which of them may have content.
///
/// The guest sees its share as pages 0, 1, 2... of BAR 0. In the aperture the share may lie in
/// several extents ([ShareMemory]). Any thread may call all methods.
final class FixedVram implements Vram {
    private final ShareMemory pages;
    private final int grantPages;

    /// Pages that may have content: granted to the guest, or written by the engine.
    @GuardedBy("this")
    private final BitSet used = new BitSet();

    FixedVram(Aperture aperture, PoolShare share, GpuSettings settings) {
        this.pages = ShareMemory.inOrder(aperture, share);
        this.grantPages = Math.max(settings.grantPages(), settings.aheadPages());
    }

    @Override
    public void moveTo(List<PoolShare> shares) {
        pages.moveTo(shares);
    }

    @Override
    public long sizeBytes() {
        return pages.sizeBytes();
    }

    @Override
    public synchronized Map<String, Long> counters() {
        return Map.of("vram_used_pages", (long) used.cardinality());
    }

    /// The answer to a guest's access to BAR 0: the longest run around the page that is contiguous
    /// in the aperture and lies in the request's window, cut to the limit of the settings.
    @Override
    public MapDecision decide(MapRequest request) {
        long page = request.page();
        if (page >= pages.npages()) {
            return Vram.pastTheEnd(page);
        }
        MapDecision.Grant grant = pages.grant(request, grantPages, Prot.READ_WRITE);
        markUsed(grant.firstPage(), grant.firstPage() + grant.pfns().npages());
        return grant;
    }

    private synchronized void markUsed(long firstPage, long endPage) {
        used.set((int) firstPage, (int) endPage);
    }

    /// Pages without content read as zero and stay untouched: a read of a device that keeps its
    /// memory in a file would allocate the page.
    @Override
    public void read(long offsetBytes, MemorySegment destination) {
        long done = 0;
        while (done < destination.byteSize()) {
            long at = offsetBytes + done;
            long inPage = Page.SIZE - (long) Page.offsetOf(at);
            long length = Math.min(destination.byteSize() - done, inPage);
            MemorySegment piece = destination.asSlice(done, length);
            if (isUsed(Page.numberOf(at))) {
                pages.read(at, piece);
            } else {
                piece.fill((byte) 0);
            }
            done += length;
        }
    }

    private synchronized boolean isUsed(long page) {
        return used.get((int) page);
    }

    @Override
    public void write(long offsetBytes, MemorySegment source) {
        long endBytes = Math.addExact(offsetBytes, source.byteSize());
        markUsed(Page.numberOf(offsetBytes), Page.countFor(endBytes));
        pages.write(offsetBytes, source);
    }

    @Override
    public void clear(long offsetBytes, long lengthBytes) {
        long endBytes = offsetBytes + lengthBytes;
        int page = nextUsed(Page.numberOf(offsetBytes));
        while (page >= 0 && Page.addressOf(page) < endBytes) {
            long first = Math.max(offsetBytes, Page.addressOf(page));
            long end = Math.min(endBytes, Page.addressOf(page + 1L));
            pages.fill(first, end - first, (byte) 0);
            page = nextUsed(page + 1L);
        }
    }

    private synchronized int nextUsed(long fromPage) {
        return used.nextSetBit((int) fromPage);
    }

    @Override
    public void reset() {
        clear(0, sizeBytes());
        synchronized (this) {
            used.clear();
        }
    }

    /// Writes which pages are used, one bit each; the host transfers their content.
    @Override
    public void save(DataOutput out) throws IOException {
        byte[] bits;
        synchronized (this) {
            bits = used.toByteArray();
        }
        out.write(Arrays.copyOf(bits, bytesOfBits()));
    }

    @Override
    public void restore(DataInput in) throws IOException {
        byte[] bits = new byte[bytesOfBits()];
        in.readFully(bits);
        synchronized (this) {
            used.clear();
            used.or(BitSet.valueOf(bits));
        }
    }

    /// Exactly one bit per page: shares are multiples of 256 pages.
    private int bytesOfBits() {
        return (int) pages.npages() / Byte.SIZE;
    }
}
