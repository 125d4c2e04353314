package dev.mdev.api;

import dev.mdev.api.page.Access;

import java.lang.foreign.MemorySegment;

/// Guest memory as a device reaches it by DMA: by I/O virtual addresses, which are guest-physical
/// where there is no IOMMU in between.
///
/// All methods may be called by any thread, from inside callbacks too. What a device writes is
/// dirty-logged like the guest's own stores. A device can only reach guest memory while it is
/// assigned and the guest lets it master the bus.
public interface GuestMemory extends LinearMemory {
    /// Copies from guest memory.
    ///
    /// @param iova first address; need not be aligned
    /// @throws MdevException EFAULT where there is no memory, with what was copied before that in
    ///   `destination`; ENODEV if the device may not master the bus
    @Override
    void read(long iova, MemorySegment destination);

    /// Copies to guest memory.
    ///
    /// @param iova first address; need not be aligned
    /// @throws MdevException EFAULT where there is no memory or it is read-only, with what was
    ///   copied before that left in place; ENODEV if the device may not master the bus
    @Override
    void write(long iova, MemorySegment source);

    /// Holds pages of guest memory, for a device that works on them for longer. They stay until
    /// they are unpinned or the driver is told by [MdevDevice#dmaUnmapped] to let go.
    ///
    /// @param iova a multiple of the page size
    /// @param npages at least 1
    /// @param access what the device will do; pages pinned for writing count as dirty all the while
    /// @return the pages; close it to unpin
    /// @throws MdevException EFAULT if one of them is not there, EPERM if one may not be written,
    ///   ENOMEM beyond the host's limit, EINVAL for an address that is not aligned; nothing is
    ///   pinned then
    Pin pin(long iova, long npages, Access access);

    /// Pinned pages.
    interface Pin extends AutoCloseable {
        /// Copies from the pages, starting `offsetBytes` after the first byte.
        ///
        /// @throws IndexOutOfBoundsException if the bytes are not all inside
        /// @throws MdevException ENODEV after [#close]
        void read(long offsetBytes, MemorySegment destination);

        /// Copies to the pages.
        ///
        /// @throws IndexOutOfBoundsException if the bytes are not all inside
        /// @throws MdevException ENODEV after [#close], EPERM if pinned for reading
        void write(long offsetBytes, MemorySegment source);

        /// Unpins. Closing again does nothing.
        @Override
        void close();
    }
}
