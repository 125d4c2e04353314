package dev.mdev.core.mmu;

/// A stage-2 entry as a `long`: bit 0 present, bit 1 writable, bits 12 and up the physical address
/// of the page. Zero is no entry.
final class Stage2Entry {
    static final long NONE = 0;

    private static final long PRESENT = 1;
    private static final long WRITABLE = 1 << 1;
    private static final int PFN_SHIFT = 12;

    private Stage2Entry() {}

    static long of(long pfn, boolean writable) {
        return pfn << PFN_SHIFT | PRESENT | (writable ? WRITABLE : 0);
    }

    static boolean isPresent(long entry) {
        return (entry & PRESENT) != 0;
    }

    static boolean isWritable(long entry) {
        return (entry & WRITABLE) != 0;
    }

    static long pfn(long entry) {
        return entry >>> PFN_SHIFT;
    }

    static long writeProtected(long entry) {
        return entry & ~WRITABLE;
    }

    /// The entry of the page `index` pages into a huge page.
    static long atIndex(long entry, long index) {
        return entry + (index << PFN_SHIFT);
    }
}
