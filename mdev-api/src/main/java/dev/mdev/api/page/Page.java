package dev.mdev.api.page;

/// Page arithmetic, and the only place with the page size.
///
/// An *address* counts bytes, a page *number* (gfn, pfn) counts pages of [#SIZE] bytes. All values
/// are unsigned 64-bit quantities held in a `long`.
public final class Page {
    /// log2 of the page size.
    public static final int SHIFT = 12;

    /// Bytes in a page.
    public static final int SIZE = 1 << SHIFT;

    /// The bits of an address that lie within its page.
    public static final long OFFSET_MASK = SIZE - 1L;

    private Page() {}

    /// The number of the page that holds `address`.
    public static long numberOf(long address) {
        return address >>> SHIFT;
    }

    /// The address of the first byte of page `number`.
    public static long addressOf(long number) {
        return number << SHIFT;
    }

    /// The offset in bytes of `address` within its page, 0 to 4095.
    public static int offsetOf(long address) {
        return (int) (address & OFFSET_MASK);
    }

    /// The address of the first byte of the page that holds `address`.
    public static long baseOf(long address) {
        return address & ~OFFSET_MASK;
    }

    /// Whether `address` (or a size in bytes) is a multiple of the page size.
    public static boolean isAligned(long address) {
        return (address & OFFSET_MASK) == 0;
    }

    /// The pages needed to hold `bytes` bytes, `bytes` taken as unsigned.
    public static long countFor(long bytes) {
        return (bytes >>> SHIFT) + (isAligned(bytes) ? 0 : 1);
    }

    /// The size in bytes of `npages` pages.
    ///
    /// @throws ArithmeticException if the size does not fit 63 bits
    public static long bytesOf(long npages) {
        return Math.multiplyExact(npages, (long) SIZE);
    }
}
