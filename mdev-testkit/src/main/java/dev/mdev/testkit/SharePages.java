package dev.mdev.testkit;

import dev.mdev.api.PoolShare;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;

import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;
import java.util.List;

/// The content of a device's pages, in the order of its share.
record SharePages(SparseAperture aperture, List<PoolShare> share) {
    byte[] read() {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        for (PfnRange extent : extents()) {
            byte[] bytes = new byte[Math.toIntExact(Page.bytesOf(extent.npages()))];
            aperture.read(aperture.offsetOf(extent.firstPfn()), MemorySegment.ofArray(bytes));
            content.writeBytes(bytes);
        }
        return content.toByteArray();
    }

    /// Pages of zeroes stay without memory.
    void write(byte[] content) {
        clear();
        MemorySegment all = MemorySegment.ofArray(content);
        long at = 0;
        for (PfnRange extent : extents()) {
            for (long pfn = extent.firstPfn(); pfn < extent.endPfn(); pfn++) {
                MemorySegment page = all.asSlice(at, Page.SIZE);
                if (page.mismatch(SparseAperture.ZEROES) >= 0) {
                    aperture.write(aperture.offsetOf(pfn), page);
                }
                at += Page.SIZE;
            }
        }
    }

    void clear() {
        for (PfnRange extent : extents()) {
            long offsetBytes = aperture.offsetOf(extent.firstPfn());
            aperture.fill(offsetBytes, Page.bytesOf(extent.npages()), (byte) 0);
        }
    }

    private List<PfnRange> extents() {
        return share.stream().flatMap(part -> part.extents().stream()).toList();
    }
}
