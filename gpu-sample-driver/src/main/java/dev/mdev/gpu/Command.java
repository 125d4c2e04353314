package dev.mdev.gpu;

import static dev.mdev.api.LinearMemory.Layouts.INT;
import static dev.mdev.api.LinearMemory.Layouts.LONG;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// A command to the engine, 64 bytes in the ring, little-endian:
///
///     0x00  opcode       16 bits     0x18  destination pitch  32 bits
///     0x02  flags        16 bits     0x1c  source pitch       32 bits
///     0x04  value        32 bits     0x20  bytes a row        32 bits
///     0x08  destination  64 bits     0x24  rows               32 bits
///     0x10  source       64 bits     0x28  fence              64 bits
///     0x30  zero         16 bytes
///
/// | opcode | does | destination | source |
/// |---|---|---|---|
/// | 0 NOP | nothing | | |
/// | 1 FILL | fills rows with the four bytes of `value` | VRAM | |
/// | 2 BLIT | copies rows; they may overlap if both pitches are equal | VRAM | VRAM |
/// | 3 COPY_IN | copies rows | VRAM | guest memory |
/// | 4 COPY_OUT | copies rows | guest memory | VRAM |
/// | 5 FENCE | sets the FENCE register to `fence`; with flag 2 also stores it, 8 bytes | guest memory | |
///
/// Flag 1 requests an interrupt when the command is done. The numbers come from the guest, and are
/// untrusted before [#check].
record Command(
        int opcode,
        int flags,
        int value,
        long destination,
        long source,
        long destinationPitch,
        long sourcePitch,
        long rowBytes,
        long rows,
        long fence,
        MemorySegment raw) {
    static final int SIZE = 64;

    static final int NOP = 0;
    static final int FILL = 1;
    static final int BLIT = 2;
    static final int COPY_IN = 3;
    static final int COPY_OUT = 4;
    static final int FENCE = 5;

    static final int INTERRUPT = 1;
    static final int STORE_FENCE = 2;

    /// @param bytes 64 of them, constant afterwards
    static Command decode(MemorySegment bytes) {
        int head = bytes.get(INT, 0x00);
        return new Command(
                head & 0xFFFF,
                head >>> 16,
                bytes.get(INT, 0x04),
                bytes.get(LONG, 0x08),
                bytes.get(LONG, 0x10),
                Integer.toUnsignedLong(bytes.get(INT, 0x18)),
                Integer.toUnsignedLong(bytes.get(INT, 0x1C)),
                Integer.toUnsignedLong(bytes.get(INT, 0x20)),
                Integer.toUnsignedLong(bytes.get(INT, 0x24)),
                bytes.get(LONG, 0x28),
                bytes);
    }

    /// The command as it was in the ring.
    byte[] bytes() {
        return raw.toArray(ValueLayout.JAVA_BYTE);
    }

    /// The error of the command, for a device with that much VRAM.
    QueueError check(long vramBytes) {
        boolean restIsZero = (raw.get(LONG, 0x30) | raw.get(LONG, 0x38)) == 0;
        if (!restIsZero || (flags & ~(INTERRUPT | STORE_FENCE)) != 0) {
            return QueueError.BAD_FIELD;
        }
        boolean inVram =
                switch (opcode) {
                    case FILL, COPY_IN -> isInside(destination, destinationPitch, vramBytes);
                    case COPY_OUT -> isInside(source, sourcePitch, vramBytes);
                    case BLIT ->
                            isInside(destination, destinationPitch, vramBytes)
                                    && isInside(source, sourcePitch, vramBytes);
                    default -> true;
                };
        if (!inVram) {
            return QueueError.BAD_RANGE;
        }
        return opcode > FENCE ? QueueError.BAD_OPCODE : QueueError.NONE;
    }

    /// Whether the rows lie in VRAM and do not overlap each other. Correct for all 32-bit sizes: no
    /// product or sum overflows, because each is bounded by `vramBytes` before it is formed.
    private boolean isInside(long start, long pitch, long vramBytes) {
        if (rowBytes < 1 || rowBytes > vramBytes || rows < 1) {
            return false;
        }
        if (rows > 1 && (pitch < rowBytes || rows - 1 > (vramBytes - rowBytes) / pitch)) {
            return false;
        }
        return start >= 0 && start <= vramBytes - rowBytes - (rows - 1) * pitch;
    }

    /// Bytes that the command moves.
    long totalBytes() {
        return opcode >= FILL && opcode <= COPY_OUT ? rowBytes * rows : 0;
    }

    /// Whether rows must be moved from the last byte to the first, because they may overlap.
    boolean isBackward() {
        return opcode == BLIT && destination > source;
    }

    boolean wantsInterrupt() {
        return (flags & INTERRUPT) != 0;
    }

    boolean storesFence() {
        return opcode == FENCE && (flags & STORE_FENCE) != 0;
    }
}
