package dev.mdev.core.topology;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.memslot.SlotFlags;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;

/// The slots that a flat view needs: adjacent ranges with contiguous host memory become one run, a
/// run is trimmed to whole pages, and a long run is split (QEMU `kvm_align_section`,
/// `kvm_set_phys_mem`).
final class SlotLayout {
    private final SlotPolicy policy;
    private final List<SlotImage> slots = new ArrayList<>();

    private SlotLayout(SlotPolicy policy) {
        this.policy = policy;
    }

    /// The slots for `ranges`, both in ascending order.
    ///
    /// @throws MdevException `EINVAL` for memory whose guest and host addresses differ within a
    ///   page: no page table can map it
    static List<SlotImage> of(Iterable<FlatRange> ranges, SlotPolicy policy) {
        SlotLayout layout = new SlotLayout(policy);
        Run run = null;
        for (FlatRange range : ranges) {
            Run next = layout.runOf(range);
            if (run != null && next != null && run.continuesWith(next)) {
                run = new Run(run.firstGpa, next.lastGpa, run.hva, run.flags, true);
                continue;
            }
            layout.cut(run);
            run = next;
        }
        layout.cut(run);
        return layout.slots;
    }

    /// Guest memory of one nature, not yet trimmed: `hva` is behind `firstGpa`.
    private record Run(long firstGpa, long lastGpa, long hva, int flags, boolean mergeable) {
        boolean continuesWith(Run next) {
            return mergeable
                    && next.mergeable
                    && lastGpa != -1L
                    && lastGpa + 1 == next.firstGpa
                    && hva + (lastGpa - firstGpa) + 1 == next.hva
                    && flags == next.flags;
        }
    }

    private @Nullable Run runOf(FlatRange range) {
        OptionalLong hva = range.readableHva();
        if (hva.isEmpty() || (!range.isWritable() && !policy.readonlySlots())) {
            return null;
        }
        int flags = range.isWritable() ? 0 : SlotFlags.READONLY;
        if (!range.logClients().isEmpty()) {
            flags |= SlotFlags.LOG_DIRTY_PAGES;
        }
        if (range.isSmram()) {
            flags |= SlotFlags.SMRAM;
        }
        return new Run(
                range.firstGpa(), range.lastGpa(), hva.getAsLong(), flags, range.mergeable());
    }

    private void cut(@Nullable Run run) {
        if (run == null) {
            return;
        }
        // Page numbers have 52 bits: unlike the addresses, their sums cannot wrap.
        long firstGfn = Page.countFor(run.firstGpa);
        long endGfn = Page.numberOf(run.lastGpa);
        if (Page.offsetOf(run.lastGpa) == Page.OFFSET_MASK) {
            endGfn++;
        }
        if (firstGfn >= endGfn) {
            return;
        }
        long hva = run.hva + (Page.addressOf(firstGfn) - run.firstGpa);
        if (!Page.isAligned(hva)) {
            throw new MdevException(
                    Errno.EINVAL,
                    "gpa=0x%x hva=0x%x differ within a page".formatted(run.firstGpa, run.hva));
        }
        for (long gfn = firstGfn; gfn < endGfn; gfn += policy.maxSlotPages()) {
            long npages = Math.min(policy.maxSlotPages(), endGfn - gfn);
            slots.add(
                    new SlotImage(
                            Page.addressOf(gfn),
                            Page.bytesOf(npages),
                            hva + Page.addressOf(gfn - firstGfn),
                            run.flags));
        }
    }
}
