package dev.mdev.core.engine.software;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/// Loads and stores of a guest: little-endian, of any alignment.
final class GuestBytes {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private GuestBytes() {}

    static long load(MemorySegment memory, long offset, int widthBytes) {
        return switch (widthBytes) {
            case 1 -> memory.get(ValueLayout.JAVA_BYTE, offset) & 0xffL;
            case 2 -> memory.get(SHORT, offset) & 0xffffL;
            case 4 -> memory.get(INT, offset) & 0xffff_ffffL;
            case 8 -> memory.get(LONG, offset);
            default -> throw new IllegalArgumentException("widthBytes=" + widthBytes);
        };
    }

    static void store(MemorySegment memory, long offset, int widthBytes, long value) {
        switch (widthBytes) {
            case 1 -> memory.set(ValueLayout.JAVA_BYTE, offset, (byte) value);
            case 2 -> memory.set(SHORT, offset, (short) value);
            case 4 -> memory.set(INT, offset, (int) value);
            case 8 -> memory.set(LONG, offset, value);
            default -> throw new IllegalArgumentException("widthBytes=" + widthBytes);
        }
    }
}
