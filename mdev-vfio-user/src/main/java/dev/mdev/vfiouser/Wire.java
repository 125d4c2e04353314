package dev.mdev.vfiouser;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/// The layout of messages, and how its numbers are read and written: little-endian, at any
/// alignment.
final class Wire {
    /// The most bytes that one message reads, writes or transfers (`max_data_xfer_size`).
    static final int MAX_DATA_BYTES = 1 << 20;

    static final int HEADER_BYTES = 16;

    /// The longest message: a write of the most bytes.
    static final int MAX_MESSAGE_BYTES = HEADER_BYTES + 16 + MAX_DATA_BYTES;

    // The header.
    static final int ID = 0;
    static final int COMMAND = 2;
    static final int SIZE = 4;
    static final int FLAGS = 8;
    static final int ERROR = 12;

    static final int TYPE_MASK = 0xf;
    static final int TYPE_COMMAND = 0;
    static final int TYPE_REPLY = 1;
    static final int FLAG_NO_REPLY = 0x10;
    static final int FLAG_ERROR = 0x20;

    private static final ValueLayout.OfShort U16 =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt U32 =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong U64 =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private Wire() {}

    static int u16(MemorySegment memory, long offset) {
        return Short.toUnsignedInt(memory.get(U16, offset));
    }

    static long u32(MemorySegment memory, long offset) {
        return Integer.toUnsignedLong(memory.get(U32, offset));
    }

    static long u64(MemorySegment memory, long offset) {
        return memory.get(U64, offset);
    }

    static void u16(MemorySegment memory, long offset, int value) {
        memory.set(U16, offset, (short) value);
    }

    static void u32(MemorySegment memory, long offset, long value) {
        memory.set(U32, offset, (int) value);
    }

    static void u64(MemorySegment memory, long offset, long value) {
        memory.set(U64, offset, value);
    }

    /// The number in the first `widthBytes` bytes, 1 to 8; at widths of 1, 2, 4 and 8 in one
    /// access.
    static long load(MemorySegment memory, long offset, int widthBytes) {
        return switch (widthBytes) {
            case 1 -> memory.get(ValueLayout.JAVA_BYTE, offset) & 0xffL;
            case 2 -> u16(memory, offset);
            case 4 -> u32(memory, offset);
            case 8 -> u64(memory, offset);
            default -> {
                long value = 0;
                for (int i = widthBytes - 1; i >= 0; i--) {
                    value =
                            value << Byte.SIZE
                                    | (memory.get(ValueLayout.JAVA_BYTE, offset + i) & 0xffL);
                }
                yield value;
            }
        };
    }

    /// The opposite of [#load].
    static void store(MemorySegment memory, long offset, int widthBytes, long value) {
        switch (widthBytes) {
            case 1 -> memory.set(ValueLayout.JAVA_BYTE, offset, (byte) value);
            case 2 -> u16(memory, offset, (int) value);
            case 4 -> u32(memory, offset, value);
            case 8 -> u64(memory, offset, value);
            default -> {
                for (int i = 0; i < widthBytes; i++) {
                    memory.set(
                            ValueLayout.JAVA_BYTE, offset + i, (byte) (value >>> (i * Byte.SIZE)));
                }
            }
        }
    }
}
