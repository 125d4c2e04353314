package dev.mdev.vfiouser;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.Memslot;

import java.lang.foreign.MemorySegment;

/// Which pages of the guest's memory the device has written, from the logs of the memory slots.
///
/// Used by the session's thread.
final class DirtyReports {
    private static final int START_BYTES = 16;
    private static final int RANGE_BYTES = 16;
    private static final int REPORT_BYTES = 24;

    private final ClientMemory memory;

    DirtyReports(ClientMemory memory) {
        this.memory = memory;
    }

    /// Starts to log all of the device's writes; the ranges that the client names are part of that.
    ///
    /// @param at of the request's data in the body
    /// @throws MdevException EINVAL if it is malformed, or logging has started
    void start(Message message, long at) {
        message.require(at + START_BYTES);
        long pageBytes = message.u64(at);
        long ranges = message.u32(at + 8);
        message.require(at + START_BYTES + ranges * RANGE_BYTES);
        if (!isPageSize(pageBytes) || memory.isLogging()) {
            throw new MdevException(
                    Errno.EINVAL,
                    "pageBytes=0x%x logging=%b".formatted(pageBytes, memory.isLogging()));
        }
        memory.setLogging(true);
    }

    private static boolean isPageSize(long pageBytes) {
        return pageBytes >= Page.SIZE && Long.bitCount(pageBytes) == 1;
    }

    /// Stops; what was logged is lost.
    void stop() {
        if (memory.isLogging()) {
            memory.setLogging(false);
        }
    }

    /// Reports, and forgets, the written pages of a range: the request's data, then a bit for each
    /// page.
    ///
    /// @param at of the request's data in the body
    /// @param room the maximum length of the data
    /// @return the length of the data
    /// @throws MdevException EINVAL if it is malformed, too long, or nothing is logged
    long report(Message message, long at, long room, MemorySegment reply) {
        message.require(at + REPORT_BYTES);
        long iova = message.u64(at);
        long lengthBytes = message.u64(at + 8);
        long pageBytes = message.u64(at + 16);
        if (!memory.isLogging()
                || !isPageSize(pageBytes)
                || !Page.isAligned(iova)
                || !Page.isAligned(lengthBytes)
                || iova < 0
                || lengthBytes <= 0
                || iova > Long.MAX_VALUE - lengthBytes) {
            throw new MdevException(
                    Errno.EINVAL,
                    "logging=%b iova=0x%x lengthBytes=0x%x pageBytes=0x%x"
                            .formatted(memory.isLogging(), iova, lengthBytes, pageBytes));
        }
        long pages = Math.ceilDiv(lengthBytes, pageBytes);
        long words = Math.ceilDiv(pages, Long.SIZE);
        if (words > (room - REPORT_BYTES) / Long.BYTES) {
            throw new MdevException(Errno.EINVAL, "no room for words=" + words);
        }
        long inReply = Message.inMemory(at);
        MemorySegment.copy(message.memory(), inReply, reply, inReply, REPORT_BYTES);
        MemorySegment bits = reply.asSlice(inReply + REPORT_BYTES, words * Long.BYTES);
        bits.fill((byte) 0);
        for (DmaMap map : memory.overlapping(iova, lengthBytes)) {
            take(map, new Span(iova, lengthBytes, pageBytes), bits);
        }
        return REPORT_BYTES + words * Long.BYTES;
    }

    /// A part of the guest's addresses in pages of the client's size.
    private record Span(long iova, long lengthBytes, long pageBytes) {
        void set(MemorySegment bits, long at) {
            long page = (at - iova) / pageBytes;
            long word = page / Long.SIZE * Long.BYTES;
            Wire.u64(bits, word, Wire.u64(bits, word) | 1L << (page % Long.SIZE));
        }
    }

    private void take(DmaMap map, Span span, MemorySegment bits) {
        AddressSpaces slots = memory.slots();
        slots.slotsLock().lock();
        try {
            Memslot slot = slots.slotOf(map.slot());
            DirtyBitmap bitmap = slot == null ? null : slot.bitmap();
            if (slot == null || bitmap == null) {
                return;
            }
            slots.beforeHarvest(slot);
            long first = Page.numberOf(Math.max(span.iova, map.iova()) - map.iova());
            long end =
                    Page.numberOf(
                            Math.min(span.iova + span.lengthBytes, map.endIova()) - map.iova());
            for (long page = first; page < end; page = page / Long.SIZE * Long.SIZE + Long.SIZE) {
                takeWord(map, span, bits, bitmap, page, end);
            }
        } finally {
            slots.slotsLock().unlock();
        }
    }

    private static void takeWord(
            DmaMap map, Span span, MemorySegment bits, DirtyBitmap bitmap, long page, long end) {
        long base = page / Long.SIZE * Long.SIZE;
        long mask = -1L << (page - base);
        if (end - base < Long.SIZE) {
            mask &= (1L << (end - base)) - 1;
        }
        long dirty = bitmap.clear((int) (base / Long.SIZE), mask);
        while (dirty != 0) {
            int bit = Long.numberOfTrailingZeros(dirty);
            span.set(bits, map.iova() + Page.addressOf(base + bit));
            dirty &= dirty - 1;
        }
    }
}
