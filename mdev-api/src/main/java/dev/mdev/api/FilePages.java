package dev.mdev.api;

import dev.mdev.api.page.Caching;
import dev.mdev.api.page.Page;

import java.nio.file.Path;

/// Pages of a file that show a device's memory: a BAR of a PCI function as Linux shows it in sysfs,
/// `resourceN`, or `resourceN_wc` for accesses that the processor may combine.
///
/// @param file the file
/// @param offsetBytes where the pages begin, a multiple of the page size
/// @param npages pages, at least 1
/// @param caching the memory type that mappings of this file have: the file decides it, and this
///   says which it is
public record FilePages(Path file, long offsetBytes, long npages, Caching caching) {
    /// Pages of a file whose mappings are [Caching#UNCACHED], such as `resourceN`.
    public FilePages(Path file, long offsetBytes, long npages) {
        this(file, offsetBytes, npages, Caching.UNCACHED);
    }

    public FilePages {
        if (offsetBytes < 0
                || npages < 1
                || !Page.isAligned(offsetBytes)
                || offsetBytes > Long.MAX_VALUE - Page.bytesOf(npages)) {
            throw new IllegalArgumentException(
                    "file=%s offsetBytes=0x%x npages=%d".formatted(file, offsetBytes, npages));
        }
    }

    /// The offset of the first byte after them.
    public long endBytes() {
        return offsetBytes + Page.bytesOf(npages);
    }
}
