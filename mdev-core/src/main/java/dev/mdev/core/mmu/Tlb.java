package dev.mdev.core.mmu;

import dev.mdev.api.page.Page;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/// One vCPU's cache of translations: direct-mapped, by guest frame. Belongs to the vCPU's thread.
///
/// A hit is a frame compare and two array loads, without allocation. Its content is valid only
/// until the next flush request at the [AccessGate]; the vCPU checks for it before each access.
public final class Tlb {
    private static final int SIZE = 1024;
    private static final long EMPTY = -1;

    private final long[] readTags = new long[SIZE];
    private final long[] writeTags = new long[SIZE];
    private final MemorySegment[] memories = new MemorySegment[SIZE];
    private final long[] offsets = new long[SIZE];

    public Tlb() {
        Arrays.fill(memories, MemorySegment.NULL);
        flush();
    }

    /// Drops everything.
    public void flush() {
        Arrays.fill(readTags, EMPTY);
        Arrays.fill(writeTags, EMPTY);
    }

    /// The entry of the frame if it is readable, otherwise negative.
    public int findForRead(long gfn) {
        int index = (int) gfn & (SIZE - 1);
        return readTags[index] == gfn ? index : -1;
    }

    /// The entry of the frame if it is writable, otherwise negative.
    public int findForWrite(long gfn) {
        int index = (int) gfn & (SIZE - 1);
        return writeTags[index] == gfn ? index : -1;
    }

    /// The memory of an entry.
    public MemorySegment memory(int index) {
        return memories[index];
    }

    /// The offset of the address `gpa` in that memory.
    public long offset(int index, long gpa) {
        return offsets[index] + Page.offsetOf(gpa);
    }

    /// Fills in a translation.
    ///
    /// @param memory the block that holds the page
    /// @param offsetBytes the start of the page in it
    /// @return the entry
    int fill(long gfn, boolean writable, MemorySegment memory, long offsetBytes) {
        int index = (int) gfn & (SIZE - 1);
        readTags[index] = gfn;
        writeTags[index] = writable ? gfn : EMPTY;
        memories[index] = memory;
        offsets[index] = offsetBytes;
        return index;
    }
}
