package dev.mdev.api;

import dev.mdev.api.page.Caching;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;

import java.lang.foreign.MemorySegment;
import java.util.Optional;

/// The physical pages of a parent device. Its driver grants them to guests in ranges.
///
/// The driver reads and writes the content through this object, never through an address of its
/// own: only the host knows where a granted page's content is at a given moment (device memory, a
/// page cache). Any thread may call all methods at any time, even while guests use the pages; such
/// accesses race as they would on hardware, and are atomic only for aligned accesses of up to 8
/// bytes.
///
/// Each method may throw [MdevException] with EIO when the host cannot reach the content. A driver
/// passes that to its caller, or reports to its guest that the work failed; it must not keep half
/// of a change of its own state.
public interface Aperture extends LinearMemory {
    /// The pages of the aperture. Page numbers are the host's; a driver gets an offset by
    /// subtracting the first.
    PfnRange pfns();

    /// Copies `destination.byteSize()` bytes from the aperture, starting `offsetBytes` after its
    /// first byte.
    ///
    /// @throws IndexOutOfBoundsException if some bytes are outside the aperture
    @Override
    void read(long offsetBytes, MemorySegment destination);

    /// Copies `source.byteSize()` bytes into the aperture, starting `offsetBytes` after its first
    /// byte.
    ///
    /// @throws IndexOutOfBoundsException if some bytes are outside the aperture
    @Override
    void write(long offsetBytes, MemorySegment source);

    /// Sets `lengthBytes` bytes to `value`.
    ///
    /// @throws IndexOutOfBoundsException if some bytes are outside the aperture
    void fill(long offsetBytes, long lengthBytes, byte value);

    /// The memory type that mappings of these pages have, or nothing if the pages differ. Memory
    /// that the host allocated is [Caching#WRITE_BACK]; that of files is as [FilePages] said.
    ///
    /// @param range pages of the aperture
    default Optional<Caching> cachingOf(PfnRange range) {
        return Optional.of(Caching.WRITE_BACK);
    }

    /// Where a physical page begins: its offset in bytes from the aperture's first byte.
    ///
    /// @throws IndexOutOfBoundsException if the aperture has no such page
    default long offsetOf(long pfn) {
        if (!pfns().contains(pfn)) {
            throw new IndexOutOfBoundsException("pfn=0x%x of %s".formatted(pfn, pfns()));
        }
        return Page.bytesOf(pfn - pfns().firstPfn());
    }
}
