package dev.mdev.core.engine.barfile;

import dev.mdev.api.page.Page;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/// The part of a buffer that belongs to one page of a file.
///
/// @param offsetInPage where it begins in the page
record PagePart(long page, long offsetInPage, MemorySegment buffer) {
    /// The parts of a buffer whose first byte is at an offset of the file.
    static List<PagePart> of(long offsetBytes, MemorySegment buffer) {
        List<PagePart> parts = new ArrayList<>();
        long done = 0;
        while (done < buffer.byteSize()) {
            long at = offsetBytes + done;
            long length = Math.min(buffer.byteSize() - done, Page.SIZE - Page.offsetOf(at));
            parts.add(
                    new PagePart(
                            Page.numberOf(at), Page.offsetOf(at), buffer.asSlice(done, length)));
            done += length;
        }
        return parts;
    }
}
