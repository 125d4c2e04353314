package dev.mdev.core.engine.software;

import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.engine.VcpuExit;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// One guest access on the slow path, split at the page boundary that it may cross (Linux `struct
/// kvm_mmio_fragment`).
final class Pieces {
    private final long firstGpa;
    private final int widthBytes;

    /// Bytes of the access in its first page.
    private final int firstBytes;

    /// The value to store, or the parts of a load so far.
    private long value;

    private boolean emulated;

    /// A bit for each piece that is complete in memory, or known to have no memory behind it.
    private int tried;

    /// A bit for each piece without memory behind it.
    private int mmioPieces;

    /// Pieces already checked for an MMIO exit.
    private int mmioDone;

    /// @param value the value to store; 0 for a load
    Pieces(long gpa, int widthBytes, long value) {
        this.firstGpa = gpa;
        this.widthBytes = widthBytes;
        this.firstBytes = Math.min(widthBytes, Page.SIZE - Page.offsetOf(gpa));
        this.value = value;
    }

    /// What was loaded, once all pieces are done.
    long value() {
        return value;
    }

    /// The number of pieces: 1 or 2.
    int count() {
        return firstBytes == widthBytes ? 1 : 2;
    }

    /// The address of a piece.
    long gpa(int piece) {
        return piece == 0 ? firstGpa : firstGpa + firstBytes;
    }

    /// The number of its bytes.
    int bytes(int piece) {
        return piece == 0 ? firstBytes : widthBytes - firstBytes;
    }

    private int shift(int piece) {
        return piece == 0 ? 0 : firstBytes * Byte.SIZE;
    }

    private long mask(int piece) {
        int bits = bytes(piece) * Byte.SIZE;
        return bits == Long.SIZE ? -1L : (1L << bits) - 1;
    }

    /// Whether the machine does the access in the processor's place, piece by piece.
    boolean isEmulated() {
        return emulated;
    }

    void emulate() {
        emulated = true;
    }

    /// The first piece that is neither complete in memory nor known to have none, or negative.
    int nextUntried() {
        for (int piece = 0; piece < count(); piece++) {
            if ((tried & 1 << piece) == 0) {
                return piece;
            }
        }
        return -1;
    }

    /// A piece is complete in memory.
    void markDone(int piece) {
        tried |= 1 << piece;
    }

    /// A piece has no memory behind it.
    void markMmio(int piece) {
        tried |= 1 << piece;
        mmioPieces |= 1 << piece;
    }

    /// The bytes of a piece of a store.
    MemorySegment stored(int piece) {
        MemorySegment bytes = MemorySegment.ofArray(new byte[bytes(piece)]);
        copyBytes(piece, Access.WRITE, bytes, 0);
        return bytes;
    }

    /// The value of a piece of a store, in the low bytes.
    long storedValue(int piece) {
        return value >>> shift(piece) & mask(piece);
    }

    /// A piece of a load is complete.
    void addLoaded(int piece, MemorySegment bytes) {
        markDone(piece);
        copyBytes(piece, Access.READ, bytes, 0);
    }

    /// Does a piece in memory.
    void access(int piece, Access kind, MemorySegment memory, long offset) {
        markDone(piece);
        if (count() == 2) {
            copyBytes(piece, kind, memory, offset);
        } else if (kind == Access.WRITE) {
            GuestBytes.store(memory, offset, widthBytes, value);
        } else {
            value = GuestBytes.load(memory, offset, widthBytes);
        }
    }

    private void copyBytes(int piece, Access kind, MemorySegment memory, long offset) {
        for (int i = 0; i < bytes(piece); i++) {
            int at = shift(piece) + i * Byte.SIZE;
            if (kind == Access.WRITE) {
                memory.set(ValueLayout.JAVA_BYTE, offset + i, (byte) (value >>> at));
            } else {
                value |= (memory.get(ValueLayout.JAVA_BYTE, offset + i) & 0xffL) << at;
            }
        }
    }

    /// Advances to the next piece without memory.
    ///
    /// @return false if there are no more
    boolean nextMmio() {
        while (mmioDone < count()) {
            if ((mmioPieces & 1 << mmioDone++) != 0) {
                return true;
            }
        }
        return false;
    }

    /// The exit for the piece that [#nextMmio] found.
    VcpuExit mmioExit(Access kind) {
        int piece = mmioDone - 1;
        return kind == Access.READ
                ? new VcpuExit.MmioRead(gpa(piece), bytes(piece))
                : new VcpuExit.MmioWrite(gpa(piece), bytes(piece), storedValue(piece));
    }

    /// Puts the value of the last load exit into its place.
    void completeRead(long part) {
        int piece = mmioDone - 1;
        value |= (part & mask(piece)) << shift(piece);
    }
}
