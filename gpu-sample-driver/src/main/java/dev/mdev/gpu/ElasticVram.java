package dev.mdev.gpu;

import dev.mdev.api.ElasticMemory;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;

import java.lang.foreign.MemorySegment;

/// VRAM that gets its pages as they are used. The host knows which have content, clears and saves
/// them, and takes them away and brings them back behind the driver's back: the engine copies
/// through [ElasticMemory], so the driver has no page that must stay.
final class ElasticVram implements Vram {
    private final ElasticMemory pages;
    private final int grantPages;

    ElasticVram(ElasticMemory pages, GpuSettings settings) {
        this.pages = pages;
        this.grantPages = Math.max(settings.grantPages(), settings.aheadPages());
    }

    @Override
    public long sizeBytes() {
        return pages.sizeBytes();
    }

    @Override
    public boolean isElastic() {
        return true;
    }

    @Override
    public long guaranteedBytes() {
        return Page.bytesOf(pages.minPages());
    }

    @Override
    public boolean isNear(long offsetBytes, long lengthBytes) {
        long first = Page.numberOf(offsetBytes);
        return pages.fetch(first, Page.countFor(offsetBytes + lengthBytes) - first);
    }

    @Override
    public void clear(long offsetBytes, long lengthBytes) {
        long end = offsetBytes + lengthBytes;
        long at = offsetBytes;
        while (at < end) {
            long page = Page.numberOf(at);
            long wholePages = Page.isAligned(at) ? Page.numberOf(end) - page : 0;
            if (wholePages > 0) {
                pages.discard(page, wholePages);
                at += Page.bytesOf(wholePages);
            } else {
                long length = Math.min(end, Page.addressOf(page + 1)) - at;
                pages.write(at, MemorySegment.ofArray(new byte[(int) length]));
                at += length;
            }
        }
    }

    @Override
    public MapDecision decide(MapRequest request) {
        return request.page() >= pages.npages()
                ? Vram.pastTheEnd(request.page())
                : pages.grant(request, GpuParent.VRAM, grantPages, Prot.READ_WRITE);
    }

    @Override
    public void read(long offsetBytes, MemorySegment destination) {
        pages.read(offsetBytes, destination);
    }

    @Override
    public void peek(long offsetBytes, MemorySegment destination) {
        pages.peek(offsetBytes, destination);
    }

    @Override
    public void write(long offsetBytes, MemorySegment source) {
        pages.write(offsetBytes, source);
    }
}
