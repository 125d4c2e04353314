package dev.mdev.core.engine.barfile;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.hostmm.HostPageTable;

/// The page table of one file: virtual addresses that no processor uses, one for each byte of the
/// file.
final class BarPageTable implements HostPageTable {
    /// The address of the file's first byte.
    static final long START_HVA = 0x10_0000_0000L;

    private final BarPages pages;
    private final long sizeBytes;

    /// Where the next range begins in the file. The thread that opens the file sets it.
    private volatile long nextOffsetBytes = -1;

    BarPageTable(BarPages pages, long sizeBytes) {
        this.pages = pages;
        this.sizeBytes = sizeBytes;
    }

    /// Says which part of the file the next reserved range is.
    void next(long offsetBytes) {
        nextOffsetBytes = offsetBytes;
    }

    @Override
    public HvaRange reserve(long npages, Kind kind) {
        long offset = nextOffsetBytes;
        nextOffsetBytes = -1;
        if (offset < 0 || Page.bytesOf(npages) > sizeBytes - offset) {
            throw new MdevException(
                    Errno.ENOMEM,
                    "no such part of the file: offset=0x%x npages=%d".formatted(offset, npages));
        }
        return HvaRange.ofPages(START_HVA + offset, npages);
    }

    @Override
    public void release(HvaRange range) {}

    @Override
    public void map(long hva, PfnRange pfns, Prot prot) {
        pages.grant(Page.numberOf(hva - START_HVA), pfns, prot.includes(Prot.READ_WRITE));
    }

    @Override
    public void zap(HvaRange range) {
        long first = Page.numberOf(range.startHva() - START_HVA);
        pages.revoke(first, first + range.npages());
    }
}
