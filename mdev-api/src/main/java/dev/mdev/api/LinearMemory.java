package dev.mdev.api;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/// Memory that a driver copies from and to by offsets.
public interface LinearMemory {
    /// Copies `destination.byteSize()` bytes from here, starting at `offsetBytes`.
    void read(long offsetBytes, MemorySegment destination);

    /// Copies `source.byteSize()` bytes to here, starting at `offsetBytes`.
    void write(long offsetBytes, MemorySegment source);

    /// Loads a little-endian number.
    ///
    /// @param widthBytes 1 to 8
    /// @return the number, zero-extended
    default long load(long offsetBytes, int widthBytes) {
        MemorySegment bytes = MemorySegment.ofArray(new byte[Long.BYTES]);
        read(offsetBytes, bytes.asSlice(0, widthBytes));
        return bytes.get(Layouts.LONG, 0);
    }

    /// Stores a little-endian number.
    ///
    /// @param widthBytes 1 to 8
    /// @param value the number, in the low bytes; the others are ignored
    default void store(long offsetBytes, int widthBytes, long value) {
        MemorySegment bytes = MemorySegment.ofArray(new byte[Long.BYTES]);
        bytes.set(Layouts.LONG, 0, value);
        write(offsetBytes, bytes.asSlice(0, widthBytes));
    }

    /// Copies bytes within this memory, as if all were read before any is written: the ranges may
    /// overlap. If this throws, a part may have been copied.
    ///
    /// @param lengthBytes at least 0
    default void copy(long fromBytes, long toBytes, long lengthBytes) {
        byte[] buffer = new byte[(int) Math.min(1 << 16, lengthBytes)];
        long done = 0;
        while (done < lengthBytes) {
            long length = Math.min(buffer.length, lengthBytes - done);
            // Backwards, where the target overlaps what is yet to be read.
            long at = fromBytes < toBytes ? lengthBytes - done - length : done;
            MemorySegment piece = MemorySegment.ofArray(buffer).asSlice(0, length);
            read(fromBytes + at, piece);
            write(toBytes + at, piece);
            done += length;
        }
    }

    /// Layouts of numbers in memory, as devices on a PCI bus have them: little-endian, at any
    /// offset.
    final class Layouts {
        /// 32 bits.
        public static final ValueLayout.OfInt INT =
                ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

        /// 64 bits.
        public static final ValueLayout.OfLong LONG =
                ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

        private Layouts() {}
    }
}
