package dev.mdev.core.hostmm;

import dev.mdev.api.page.Prot;

/// A host page-table entry as a `long`, so that looking one up allocates nothing: the pfn shifted
/// left by two, and the rights in the low two bits. Zero is no entry.
public final class HostPte {
    /// No entry: an access faults.
    public static final long NONE = 0;

    private static final Prot[] PROTS = Prot.values();
    private static final int PROT_BITS = 2;

    private HostPte() {}

    /// The entry that maps `pfn` with `prot`, which is not [Prot#NONE].
    public static long of(long pfn, Prot prot) {
        if (prot == Prot.NONE || pfn < 0 || pfn >= 1L << (63 - PROT_BITS)) {
            throw new IllegalArgumentException("pfn=0x%x prot=%s".formatted(pfn, prot));
        }
        return pfn << PROT_BITS | prot.ordinal();
    }

    public static boolean isPresent(long pte) {
        return pte != NONE;
    }

    public static long pfn(long pte) {
        return pte >>> PROT_BITS;
    }

    public static Prot prot(long pte) {
        return PROTS[(int) (pte & ((1 << PROT_BITS) - 1))];
    }
}
