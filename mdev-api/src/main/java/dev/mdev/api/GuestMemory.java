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

    /// Watches pages of guest memory: [MdevDevice#guestWrote] is told of each store of the guest's
    /// processors to them, as a device needs it that shadows the guest's page tables (Linux
    /// `kvm_page_track`). What devices write is not told. Each store to a watched page is slow.
    ///
    /// A watch belongs to addresses: memory that comes to them is watched, too. It ends when it is
    /// closed, or when the guest loses the device.
    ///
    /// @param iova a multiple of the page size
    /// @param npages at least 1
    /// @return ends the watch when it is closed; afterwards, stores that were in progress may still
    ///   be told
    /// @throws MdevException EOPNOTSUPP where the guest's engine cannot watch: on `kvm`, and where
    ///   another program runs the guest; ENOMEM beyond the host's limit, EINVAL for an impossible
    ///   range, ENODEV without a guest
    default WriteWatch watchWrites(long iova, long npages) {
        throw new MdevException(
                Errno.EOPNOTSUPP,
                "the stores of this guest cannot be watched: iova=0x%x".formatted(iova));
    }

    /// Watched pages.
    interface WriteWatch extends AutoCloseable {
        /// Ends the watch. Closing again does nothing.
        @Override
        void close();
    }

    /// A range that the device uses again and again, such as the place of a fence. The host may
    /// remember where it is, and looks again when the guest's memory changes its layout. It holds
    /// nothing: the range may be absent now, or become absent.
    ///
    /// A range in one page, which the device may write, is the fastest.
    ///
    /// @param iova first address, any; need not be aligned
    /// @param lengthBytes at least 1
    /// @throws MdevException EINVAL if the range is empty
    default Window window(long iova, long lengthBytes) {
        return new GuestWindow(this, iova, lengthBytes);
    }

    /// A fixed range of guest memory; any thread may use it.
    interface Window extends LinearMemory {
        /// Copies from the range, as [GuestMemory#read].
        ///
        /// @throws IndexOutOfBoundsException if some bytes are outside
        @Override
        void read(long offsetBytes, MemorySegment destination);

        /// Copies to the range, as [GuestMemory#write].
        ///
        /// @throws IndexOutOfBoundsException if some bytes are outside
        @Override
        void write(long offsetBytes, MemorySegment source);
    }

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
