package dev.mdev.api;

import dev.mdev.api.page.Access;

import java.lang.foreign.MemorySegment;

/// Guest memory as a device reaches it by DMA: by I/O virtual addresses, which are guest-physical
/// without an IOMMU.
///
/// Any thread may call all methods, also inside callbacks. A device's writes are dirty-logged like
/// the guest's own stores. A device can reach guest memory only while it is assigned and the guest
/// enables bus mastering.
public interface GuestMemory extends LinearMemory {
    /// Copies from guest memory.
    ///
    /// @param iova first address; need not be aligned
    /// @throws MdevException EFAULT at the first absent page, with the bytes before it in
    ///   `destination`; ENODEV without bus mastering
    @Override
    void read(long iova, MemorySegment destination);

    /// Copies to guest memory.
    ///
    /// @param iova first address; need not be aligned
    /// @throws MdevException EFAULT at the first absent or read-only page, with the bytes before it
    ///   written; ENODEV without bus mastering
    @Override
    void write(long iova, MemorySegment source);

    /// Holds pages of guest memory, for a device that works on them for longer. They stay until
    /// they are unpinned or [MdevDevice#dmaUnmapped] asks the driver to release them.
    ///
    /// @param iova a multiple of the page size
    /// @param npages at least 1
    /// @param access the device's access; pages pinned for writing count as dirty the whole time
    /// @return the pages; close it to unpin
    /// @throws MdevException EFAULT if a page is absent, EPERM if a page is read-only, ENOMEM
    ///   beyond the host's limit, EINVAL for an unaligned address; nothing is pinned then
    Pin pin(long iova, long npages, Access access);

    /// Pinned pages.
    interface Pin extends LinearMemory, AutoCloseable {
        /// Copies from the pages, starting `offsetBytes` after the first byte.
        ///
        /// @throws IndexOutOfBoundsException if some bytes are outside
        /// @throws MdevException ENODEV after [#close]
        @Override
        void read(long offsetBytes, MemorySegment destination);

        /// Copies to the pages.
        ///
        /// @throws IndexOutOfBoundsException if some bytes are outside
        /// @throws MdevException ENODEV after [#close], EPERM if pinned for reading
        @Override
        void write(long offsetBytes, MemorySegment source);

        /// Unpins. Closing again does nothing.
        @Override
        void close();
    }
}
