package dev.mdev.core.addr;

import dev.mdev.api.page.Page;

/// A page-aligned run of host virtual addresses: `[start, start + lengthBytes)`.
///
/// @param startHva first address, a multiple of the page size, at least 0
/// @param lengthBytes bytes, a multiple of the page size, at least one page
public record HvaRange(long startHva, long lengthBytes) {
    public HvaRange {
        if (startHva < 0
                || lengthBytes < 1
                || startHva > Long.MAX_VALUE - lengthBytes
                || !Page.isAligned(startHva)
                || !Page.isAligned(lengthBytes)) {
            throw new IllegalArgumentException(
                    "not an hva range: startHva=0x%x lengthBytes=0x%x"
                            .formatted(startHva, lengthBytes));
        }
    }

    /// The range of `npages` pages from `startHva`.
    public static HvaRange ofPages(long startHva, long npages) {
        return new HvaRange(startHva, Page.bytesOf(npages));
    }

    /// The first address after the run.
    public long endHva() {
        return startHva + lengthBytes;
    }

    public long npages() {
        return Page.numberOf(lengthBytes);
    }

    public boolean contains(long hva) {
        return hva >= startHva && hva - startHva < lengthBytes;
    }

    public boolean contains(HvaRange other) {
        return other.startHva >= startHva && other.endHva() <= endHva();
    }

    public boolean overlaps(HvaRange other) {
        return other.startHva < endHva() && startHva < other.endHva();
    }

    @Override
    public String toString() {
        return "hva[0x%x, 0x%x)".formatted(startHva, endHva());
    }
}
