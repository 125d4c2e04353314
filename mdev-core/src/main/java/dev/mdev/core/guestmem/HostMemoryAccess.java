package dev.mdev.core.guestmem;

import java.lang.foreign.MemorySegment;

/// Copies to and from the VMM's memory: the place of `copy_to_user` and `copy_from_user`.
///
/// Every call stays within one page. Addresses are untrusted: nothing may be mapped there. A copy
/// goes through the VMM's page tables like an access of its own, so it may wait for a fault to be
/// served. Any thread may call; copies race as on hardware.
public interface HostMemoryAccess {
    /// What became of a compare-exchange.
    enum Exchange {
        /// Memory held the expected value and now holds the new one.
        EXCHANGED,
        /// Memory held something else and was left alone.
        DIFFERENT,
        /// The address cannot be written.
        FAULT
    }

    /// Copies `destination.byteSize()` bytes from `hva`.
    ///
    /// @return false if they could not all be read (EFAULT); `destination` is then undefined
    boolean read(long hva, MemorySegment destination);

    /// Copies `destination.byteSize()` bytes from `hva` if that takes no page fault.
    ///
    /// @return false if the page is not there now
    boolean readWithoutFault(long hva, MemorySegment destination);

    /// Copies all of `source` to `hva`.
    ///
    /// @return false if it could not all be written (EFAULT); some of it may have been
    boolean write(long hva, MemorySegment source);

    /// Replaces, in one atomic step, the little-endian value at `hva` if it is `expected`.
    ///
    /// @param hva a multiple of `sizeBytes`
    /// @param sizeBytes 1, 2, 4 or 8
    /// @param expected in its low `sizeBytes` bytes, the others are ignored
    /// @param replacement likewise
    Exchange compareExchange(long hva, int sizeBytes, long expected, long replacement);
}
