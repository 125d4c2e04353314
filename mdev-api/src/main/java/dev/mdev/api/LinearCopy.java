package dev.mdev.api;

import java.lang.foreign.MemorySegment;

/// Copies within one memory, in pieces of bounded size.
final class LinearCopy {
    private static final int PIECE_BYTES = 1 << 16;

    private LinearCopy() {}

    /// As `memmove(3)`: from the end backwards where the target overlaps what is yet to be read.
    ///
    /// @param lengthBytes at least 0
    static void within(LinearMemory memory, long fromBytes, long toBytes, long lengthBytes) {
        byte[] buffer = new byte[(int) Math.min(PIECE_BYTES, lengthBytes)];
        boolean backward = fromBytes < toBytes;
        long done = 0;
        while (done < lengthBytes) {
            long length = Math.min(buffer.length, lengthBytes - done);
            long at = backward ? lengthBytes - done - length : done;
            MemorySegment piece = MemorySegment.ofArray(buffer).asSlice(0, length);
            memory.read(fromBytes + at, piece);
            memory.write(toBytes + at, piece);
            done += length;
        }
    }
}
