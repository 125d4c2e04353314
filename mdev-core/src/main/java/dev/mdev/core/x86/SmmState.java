package dev.mdev.core.x86;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/// The processor state that is saved on entry to system management mode: 512 bytes at `smbase +
/// 0xfe00` (Intel SDM volume 3, "SMRAM State Save Map"; AMD APM volume 2, "SMM State-Save Area").
///
/// Fields are named by their offset from `smbase + 0x8000`, 0x7e00 to 0x7fff, as in the manuals.
/// The layout is AMD64's, which Linux also gives a 64-bit guest.
public final class SmmState {
    /// Bytes of the area.
    public static final int SIZE_BYTES = 512;

    /// Where the area begins, from smbase.
    public static final long OFFSET_FROM_SMBASE = 0xfe00;

    /// Offset of the format's revision, 32 bits.
    public static final int REVISION = 0x7efc;

    /// Offset of smbase, 32 bits. The handler may change it; the new value applies from RSM on.
    public static final int SMBASE = 0x7f00;

    private static final int FIRST_FIELD = 0x7e00;
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final MemorySegment bytes = MemorySegment.ofArray(new byte[SIZE_BYTES]);

    /// The whole area.
    public MemorySegment bytes() {
        return bytes;
    }

    /// The 32 bits at one of the manual's offsets, 0x7e00 to 0x7ffc.
    public int getInt(int field) {
        return bytes.get(INT, field - FIRST_FIELD);
    }

    public void setInt(int field, int value) {
        bytes.set(INT, field - FIRST_FIELD, value);
    }

    /// The 64 bits at one of the manual's offsets, 0x7e00 to 0x7ff8.
    public long getLong(int field) {
        return bytes.get(LONG, field - FIRST_FIELD);
    }

    public void setLong(int field, long value) {
        bytes.set(LONG, field - FIRST_FIELD, value);
    }
}
