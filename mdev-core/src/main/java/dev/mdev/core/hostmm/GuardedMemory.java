package dev.mdev.core.hostmm;

import java.lang.foreign.MemorySegment;

/// Memory that may vanish at any moment, such as a BAR of a function that is unplugged. A load or
/// store by Java code would be a SIGBUS; these copies fail instead.
///
/// A copy of 1, 2 or 4 bytes at a multiple of its length is one access to the memory. Any thread
/// may call all methods.
public interface GuardedMemory {
    /// Copies `destination.byteSize()` bytes from here.
    ///
    /// @throws IndexOutOfBoundsException if some bytes are outside
    /// @throws dev.mdev.api.MdevException EIO if the memory is gone
    void read(long offsetBytes, MemorySegment destination);

    /// Copies `source.byteSize()` bytes to here; otherwise as [#read].
    void write(long offsetBytes, MemorySegment source);
}
