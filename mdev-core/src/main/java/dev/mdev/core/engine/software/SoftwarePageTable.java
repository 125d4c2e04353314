package dev.mdev.core.engine.software;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.hostmm.HostPageTable;

import java.util.concurrent.atomic.AtomicLong;

/// Host virtual addresses that no processor uses: the MMU in Java looks up entries in the host
/// address space, so there is nothing to carry out. This only assigns addresses, each once, with a
/// permanently unmapped gap between ranges.
final class SoftwarePageTable implements HostPageTable {
    private static final long FIRST_HVA = 0x10_0000_0000L;
    private static final long END_HVA = 0x7fff_ffff_f000L;
    private static final long ALIGN_BYTES = 1L << 30;

    private final AtomicLong next = new AtomicLong(FIRST_HVA);

    /// Ranges begin at multiples of 1 GiB: then large leaves can map a guest-physical address of
    /// the same alignment.
    @Override
    public HvaRange reserve(long npages, Kind kind) {
        if (npages > Page.numberOf(END_HVA)) {
            throw usedUp(npages);
        }
        long size = Page.bytesOf(npages);
        long step = (size + ALIGN_BYTES) & -ALIGN_BYTES;
        long start = next.getAndUpdate(at -> at > END_HVA - step ? at : at + step);
        if (start > END_HVA - step) {
            throw usedUp(npages);
        }
        return new HvaRange(start, size);
    }

    private static MdevException usedUp(long npages) {
        return new MdevException(
                Errno.ENOMEM, "host virtual addresses are used up: npages=" + npages);
    }

    @Override
    public void release(HvaRange range) {}

    @Override
    public void map(long hva, PfnRange pfns, Prot prot) {}

    @Override
    public void zap(HvaRange range) {}
}
