package dev.mdev.core.engine.software;

import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.engine.VcpuExit;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// One guest access that takes the slow way, cut at the page boundary it may cross (Linux `struct
/// kvm_mmio_fragment`).
final class Pieces {
    private final long firstGpa;
    private final int widthBytes;

    /// Bytes of the access in its first page.
    private final int firstBytes;

    /// What is stored, or what of a load has come together.
    private long value;

    /// Pieces that memory was tried for.
    private int memoryDone;

    /// Pieces that were looked at for an MMIO exit.
    private int mmioDone;

    /// A bit for each piece without memory behind it.
    private int mmioPieces;

    /// @param value what is stored; 0 for a load
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

    private int count() {
        return firstBytes == widthBytes ? 1 : 2;
    }

    private long gpa(int piece) {
        return piece == 0 ? firstGpa : firstGpa + firstBytes;
    }

    private int bytes(int piece) {
        return piece == 0 ? firstBytes : widthBytes - firstBytes;
    }

    private int shift(int piece) {
        return piece == 0 ? 0 : firstBytes * Byte.SIZE;
    }

    private long mask(int piece) {
        int bits = bytes(piece) * Byte.SIZE;
        return bits == Long.SIZE ? -1L : (1L << bits) - 1;
    }

    /// Whether a piece is left that memory was not tried for.
    boolean hasMemoryPiece() {
        return memoryDone < count();
    }

    /// Where that piece is.
    long memoryGpa() {
        return gpa(memoryDone);
    }

    /// How many bytes it has.
    int memoryBytes() {
        return bytes(memoryDone);
    }

    /// Its bytes, of a store.
    MemorySegment memoryPiece() {
        byte[] bytes = new byte[memoryBytes()];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) (value >>> (shift(memoryDone) + i * Byte.SIZE));
        }
        return MemorySegment.ofArray(bytes);
    }

    /// Somebody else did that piece.
    void skipMemory() {
        memoryDone++;
    }

    /// There is no memory behind that piece.
    void markMmio() {
        mmioPieces |= 1 << memoryDone;
        memoryDone++;
    }

    /// Does that piece in memory.
    void access(Access kind, MemorySegment memory, long offset) {
        int piece = memoryDone++;
        if (count() == 1) {
            accessWhole(kind, memory, offset);
            return;
        }
        for (int i = 0; i < bytes(piece); i++) {
            int at = shift(piece) + i * Byte.SIZE;
            if (kind == Access.WRITE) {
                memory.set(ValueLayout.JAVA_BYTE, offset + i, (byte) (value >>> at));
            } else {
                value |= (memory.get(ValueLayout.JAVA_BYTE, offset + i) & 0xffL) << at;
            }
        }
    }

    private void accessWhole(Access kind, MemorySegment memory, long offset) {
        if (kind == Access.WRITE) {
            GuestBytes.store(memory, offset, widthBytes, value);
        } else {
            value = GuestBytes.load(memory, offset, widthBytes);
        }
    }

    /// The exit for the next piece without memory.
    ///
    /// @return false if there is none left
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
                : new VcpuExit.MmioWrite(
                        gpa(piece), bytes(piece), value >>> shift(piece) & mask(piece));
    }

    /// Puts the value of the load that exited last into its place.
    void completeRead(long part) {
        int piece = mmioDone - 1;
        value |= (part & mask(piece)) << shift(piece);
    }
}
