package dev.mdev.core.hostmm;

import java.lang.foreign.MemorySegment;

/// Where [HostMemory] gets its bytes.
public interface MemoryBackend {
    /// Allocates `sizeBytes` bytes of zeroes, page-aligned.
    ///
    /// @throws dev.mdev.api.MdevException ENOMEM if there is not that much
    Backing allocate(String name, long sizeBytes);

    /// A piece of memory.
    interface Backing {
        /// The host's own mapping, from any thread, until [#release].
        MemorySegment segment();

        /// The file descriptor by which another mapping of the same bytes can be made, or -1.
        int fd();

        /// The offset of the first byte in that file.
        long fileOffsetBytes();

        /// Frees it. Access through the segment fails with an exception afterwards.
        void release();
    }
}
