package dev.mdev.core.guestmem;

import java.lang.foreign.MemorySegment;

/// Copies to and from the VMM's memory: the counterpart of `copy_to_user` and `copy_from_user`.
///
/// Every call stays within one page. Addresses are untrusted: they may be unmapped. A copy goes
/// through the VMM's page tables like an access of its own, so it may wait for a fault to be
/// served. Any thread may call; copies race as on hardware.
public interface HostMemoryAccess {
    /// The outcome of a compare-exchange.
    enum Exchange {
        /// Memory held the expected value and now holds the new one.
        EXCHANGED,
        /// Memory held another value and is unchanged.
        DIFFERENT,
        /// The address is not writable.
        FAULT
    }

    /// Copies `destination.byteSize()` bytes from `hva`.
    ///
    /// @return false if some bytes are unreadable (EFAULT); `destination` is then undefined
    boolean read(long hva, MemorySegment destination);

    /// Copies `destination.byteSize()` bytes from `hva` if that takes no page fault.
    ///
    /// @return false if the page is not there now
    boolean readWithoutFault(long hva, MemorySegment destination);

    /// Copies all of `source` to `hva`.
    ///
    /// @return false if some bytes are not writable (EFAULT); others may have been written
    boolean write(long hva, MemorySegment source);

    /// Replaces, in one atomic step, the little-endian value at `hva` if it is `expected`.
    ///
    /// @param hva a multiple of `sizeBytes`
    /// @param sizeBytes 1, 2, 4 or 8
    /// @param expected in its low `sizeBytes` bytes, the others are ignored
    /// @param replacement likewise
    Exchange compareExchange(long hva, int sizeBytes, long expected, long replacement);
}
