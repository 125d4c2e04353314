package dev.mdev.gpu;

import dev.mdev.api.page.Page;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/// The register page, BAR 2. Registers are little-endian and may be accessed with any width at any
/// offset; what is no register reads as zero and ignores stores.
///
///     0x800  ID       read only   0x5047444d, "MDGP"
///     0x804  VERSION  read only   1
///     0x808  SCRATCH  32 bits that the device keeps and gives no meaning
///     0x810  VRAM     read only   size of VRAM in bytes, 64 bits
final class GpuRegisters {
    static final int ID = 0x800;
    static final int VERSION = 0x804;
    static final int SCRATCH = 0x808;
    static final int VRAM_BYTES = 0x810;

    static final int ID_VALUE = 0x5047_444D;
    static final int VERSION_VALUE = 1;

    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final MemorySegment page = MemorySegment.ofArray(new byte[Page.SIZE]);

    GpuRegisters(long vramBytes) {
        page.set(INT, ID, ID_VALUE);
        page.set(INT, VERSION, VERSION_VALUE);
        page.set(LONG, VRAM_BYTES, vramBytes);
    }

    long read(int offset, int widthBytes) {
        long value = 0;
        for (int i = widthBytes - 1; i >= 0; i--) {
            value = (value << 8) | (page.get(ValueLayout.JAVA_BYTE, offset + i) & 0xFF);
        }
        return value;
    }

    void write(int offset, int widthBytes, long value) {
        for (int i = 0; i < widthBytes; i++) {
            if (isWritable(offset + i)) {
                page.set(ValueLayout.JAVA_BYTE, offset + i, (byte) (value >>> (8 * i)));
            }
        }
    }

    void reset() {
        page.set(INT, SCRATCH, 0);
    }

    private static boolean isWritable(int offset) {
        return offset >= SCRATCH && offset < SCRATCH + Integer.BYTES;
    }
}
