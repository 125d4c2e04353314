package dev.mdev.core.hostmm;

import java.lang.foreign.MemorySegment;

/// Where [HostMemory] gets its bytes.
public interface MemoryBackend {
    /// Allocates `sizeBytes` bytes of zeroes, page-aligned.
    ///
    /// @throws dev.mdev.api.MdevException ENOMEM if the memory is not available
    Backing allocate(String name, long sizeBytes);

    /// A piece of memory.
    interface Backing {
        /// The host's own mapping, from any thread, until [#release].
        MemorySegment segment();

        /// The file descriptor for further mappings of the same bytes, or -1.
        int fd();

        /// The offset of the first byte in that file.
        long fileOffsetBytes();

        /// Frees it. Later accesses through the segment throw.
        void release();
    }
}
