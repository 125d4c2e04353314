package dev.mdev.core.engine.kvm.stub;

import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.engine.VcpuExit;

/// An access that crosses a page boundary and of which the owner of one page serves its part. A
/// processor cannot do half an instruction, so each part is done separately, in the order of
/// Linux's instruction emulator: first the bytes in memory, one by one; then the rest, as MMIO
/// exits.
public final class SplitAccess {
    private final Access access;
    private final long firstGpa;
    private final int widthBytes;

    /// Bytes in the first page.
    private final int firstBytes;

    /// The value to store, or the bytes of a load so far.
    private long value;

    /// The next byte to try in memory.
    private int nextByte;

    /// A bit for each of the two parts that is not in memory.
    private int mmioParts;

    /// The part that exits next.
    private int nextExit;

    /// @param value the value to store; 0 for a load
    public SplitAccess(Access access, long gpa, int widthBytes, long value) {
        this.access = access;
        this.firstGpa = gpa;
        this.widthBytes = widthBytes;
        this.firstBytes = bytesInFirstPage(gpa, widthBytes);
        this.value = value;
    }

    private static int bytesInFirstPage(long gpa, int widthBytes) {
        return Math.min(widthBytes, Page.SIZE - Page.offsetOf(gpa));
    }

    public static boolean isNeeded(long gpa, int widthBytes) {
        return bytesInFirstPage(gpa, widthBytes) < widthBytes;
    }

    /// The loaded value, once all is complete.
    public long value() {
        return value;
    }

    public boolean hasByte() {
        return nextByte < widthBytes;
    }

    /// The access of the next byte.
    public StubRow byteRow() {
        return new StubRow(
                access, firstGpa + nextByte, 1, 1, 0, value >>> (nextByte * Byte.SIZE), 0);
    }

    /// The next byte is complete.
    ///
    /// @param loaded its value, if it was loaded
    public void byteDone(long loaded) {
        if (access == Access.READ) {
            value |= (loaded & 0xff) << (nextByte * Byte.SIZE);
        }
        nextByte++;
    }

    /// The next byte, and so its whole page, is not in memory.
    public void partIsMmio() {
        int part = nextByte < firstBytes ? 0 : 1;
        mmioParts |= 1 << part;
        nextByte = part == 0 ? firstBytes : widthBytes;
    }

    /// Whether there is another part to exit with, which then becomes the current one.
    public boolean nextMmio() {
        while (nextExit < 2) {
            if ((mmioParts & 1 << nextExit++) != 0) {
                return true;
            }
        }
        return false;
    }

    /// The exit of the current part.
    public VcpuExit mmioExit() {
        long gpa = firstGpa + offset();
        return access == Access.READ
                ? new VcpuExit.MmioRead(gpa, bytes())
                : new VcpuExit.MmioWrite(gpa, bytes(), value >>> (offset() * Byte.SIZE) & mask());
    }

    /// Puts the value of the current part into its place.
    public void completeRead(long part) {
        value |= (part & mask()) << (offset() * Byte.SIZE);
    }

    private int offset() {
        return nextExit == 1 ? 0 : firstBytes;
    }

    private int bytes() {
        return nextExit == 1 ? firstBytes : widthBytes - firstBytes;
    }

    /// A part is at most seven bytes.
    private long mask() {
        return (1L << (bytes() * Byte.SIZE)) - 1;
    }
}
