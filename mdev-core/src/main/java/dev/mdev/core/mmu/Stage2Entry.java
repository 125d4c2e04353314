package dev.mdev.core.mmu;

/// A stage-2 entry as a `long`. Zero is no entry.
///
/// ```
/// bit 0        present
/// bit 1        writable
/// bit 2        MMU-writable: a write fault may make it writable without a request; write
///              access is only withheld to log it
/// bit 3        accessed: went into a TLB since the bit was last cleared
/// bit 4        MMIO: not present, and known to have no slot at the generation in bits 12 and up
/// bits 12..    physical address of the page, or the generation
/// ```
final class Stage2Entry {
    static final long NONE = 0;

    private static final long PRESENT = 1;
    private static final long WRITABLE = 1 << 1;
    private static final long MMU_WRITABLE = 1 << 2;
    private static final long ACCESSED = 1 << 3;
    private static final long MMIO = 1 << 4;
    private static final int PFN_SHIFT = 12;

    /// Bits of a generation that an MMIO entry keeps, as on x86 (Linux `MMIO_SPTE_GEN_MASK`).
    static final int GENERATION_BITS = 19;

    private static final long GENERATION_MASK = (1L << GENERATION_BITS) - 1;

    private Stage2Entry() {}

    /// @param mmuWritable whether host and slot allow writing
    /// @param writable whether writes are allowed now; implies `mmuWritable`
    static long of(long pfn, boolean mmuWritable, boolean writable) {
        return pfn << PFN_SHIFT
                | PRESENT
                | (mmuWritable ? MMU_WRITABLE : 0)
                | (writable ? WRITABLE : 0);
    }

    /// The entry that records the absence of a slot at `generation`.
    static long mmio(long generation) {
        return (generation & GENERATION_MASK) << PFN_SHIFT | MMIO;
    }

    static boolean isPresent(long entry) {
        return (entry & PRESENT) != 0;
    }

    static boolean isWritable(long entry) {
        return (entry & WRITABLE) != 0;
    }

    static boolean isMmuWritable(long entry) {
        return (entry & MMU_WRITABLE) != 0;
    }

    static boolean isAccessed(long entry) {
        return (entry & ACCESSED) != 0;
    }

    /// Whether this records the absence of a slot, at a generation that may be `generation`.
    static boolean isMmioAt(long entry, long generation) {
        return (entry & MMIO) != 0 && entry >>> PFN_SHIFT == (generation & GENERATION_MASK);
    }

    static long pfn(long entry) {
        return entry >>> PFN_SHIFT;
    }

    static long writeProtected(long entry) {
        return entry & ~WRITABLE;
    }

    static long madeWritable(long entry) {
        return entry | WRITABLE;
    }

    static long accessed(long entry) {
        return entry | ACCESSED;
    }

    static long notAccessed(long entry) {
        return entry & ~ACCESSED;
    }

    /// The entry of the page `index` pages into a huge page.
    static long atIndex(long entry, long index) {
        return entry + (index << PFN_SHIFT);
    }
}
