package dev.mdev.core.guestmem;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.x86.InternalMemory;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.Map;

/// Host memory in a map: pages that are mapped or not, read-only, out of core, or that break in the
/// middle of a write. A call that crosses a page fails the test.
public final class FakeHostMemory implements HostMemoryAccess, InternalMemory {
    private static final long FIRST_INTERNAL_HVA = 0x7000_0000_0000L;

    private final Map<Long, HostPage> pages = new HashMap<>();
    private long nextInternalHva = FIRST_INTERNAL_HVA;
    private boolean outOfMemory;

    /// Maps `npages` pages of zeros from `hva` on.
    public synchronized void mapPages(long hva, long npages) {
        for (long page = 0; page < npages; page++) {
            pages.put(Page.numberOf(hva) + page, new HostPage());
        }
    }

    public synchronized void unmapPage(long hva) {
        pages.remove(Page.numberOf(hva));
    }

    public synchronized boolean isMapped(long hva) {
        return pages.containsKey(Page.numberOf(hva));
    }

    public synchronized void setReadOnly(long hva) {
        page(hva).writable = false;
    }

    public synchronized void setResident(long hva, boolean resident) {
        page(hva).resident = resident;
    }

    /// From now on, a write to the page stores that many bytes and then fails.
    public synchronized void breakWritesAfter(long hva, int bytes) {
        page(hva).writesBreakAfter = bytes;
    }

    public synchronized void setOutOfMemory(boolean outOfMemory) {
        this.outOfMemory = outOfMemory;
    }

    public synchronized byte byteAt(long hva) {
        return page(hva).bytes[Page.offsetOf(hva)];
    }

    public synchronized byte[] pageAt(long hva) {
        return page(hva).bytes.clone();
    }

    public synchronized int intAt(long hva) {
        return page(hva)
                .segment()
                .get(
                        ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN),
                        Page.offsetOf(hva));
    }

    @Override
    public synchronized boolean read(long hva, MemorySegment destination) {
        requireOnePage(hva, destination.byteSize());
        HostPage page = pages.get(Page.numberOf(hva));
        if (page == null) {
            return false;
        }
        page.resident = true;
        MemorySegment.copy(
                page.segment(), Page.offsetOf(hva), destination, 0, destination.byteSize());
        return true;
    }

    @Override
    public synchronized boolean readWithoutFault(long hva, MemorySegment destination) {
        HostPage page = pages.get(Page.numberOf(hva));
        return page != null && page.resident && read(hva, destination);
    }

    @Override
    public synchronized boolean write(long hva, MemorySegment source) {
        requireOnePage(hva, source.byteSize());
        HostPage page = pages.get(Page.numberOf(hva));
        if (page == null || !page.writable) {
            return false;
        }
        long count = Math.min(source.byteSize(), page.writesBreakAfter);
        MemorySegment.copy(source, 0, page.segment(), Page.offsetOf(hva), count);
        return count == source.byteSize();
    }

    @Override
    public synchronized Exchange compareExchange(
            long hva, int sizeBytes, long expected, long replacement) {
        requireOnePage(hva, sizeBytes);
        HostPage page = pages.get(Page.numberOf(hva));
        if (page == null || !page.writable) {
            return Exchange.FAULT;
        }
        for (int i = 0; i < sizeBytes; i++) {
            if (page.bytes[Page.offsetOf(hva) + i] != (byte) (expected >>> (8 * i))) {
                return Exchange.DIFFERENT;
            }
        }
        for (int i = 0; i < sizeBytes; i++) {
            page.bytes[Page.offsetOf(hva) + i] = (byte) (replacement >>> (8 * i));
        }
        return Exchange.EXCHANGED;
    }

    @Override
    public synchronized long map(long sizeBytes) {
        if (outOfMemory) {
            throw new MdevException(Errno.ENOMEM, "sizeBytes=0x%x".formatted(sizeBytes));
        }
        long hva = nextInternalHva;
        nextInternalHva += sizeBytes + Page.SIZE;
        mapPages(hva, Page.numberOf(sizeBytes));
        return hva;
    }

    @Override
    public synchronized void unmap(long hva, long sizeBytes) {
        for (long at = 0; at < sizeBytes; at += Page.SIZE) {
            if (!isMapped(hva + at)) {
                throw new AssertionError("unmapped twice: hva=0x%x".formatted(hva + at));
            }
            unmapPage(hva + at);
        }
    }

    /// Pages that are mapped now.
    public synchronized int mappedPages() {
        return pages.size();
    }

    private HostPage page(long hva) {
        @Nullable HostPage page = pages.get(Page.numberOf(hva));
        if (page == null) {
            throw new AssertionError("not mapped: hva=0x%x".formatted(hva));
        }
        return page;
    }

    private static void requireOnePage(long hva, long count) {
        if (Page.offsetOf(hva) + count > Page.SIZE) {
            throw new AssertionError("crosses a page: hva=0x%x count=%d".formatted(hva, count));
        }
    }

    private static final class HostPage {
        final byte[] bytes = new byte[Page.SIZE];
        boolean writable = true;
        boolean resident = true;
        int writesBreakAfter = Page.SIZE;

        MemorySegment segment() {
            return MemorySegment.ofArray(bytes);
        }
    }
}
