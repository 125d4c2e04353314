package dev.mdev.core.hostmm;

import dev.mdev.api.page.Caching;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Where [HostMemory] gets its bytes.
public interface MemoryBackend {
    /// Reserves `sizeBytes` bytes of zeroes, page-aligned. A page takes memory from its first write
    /// on.
    ///
    /// @throws dev.mdev.api.MdevException ENOMEM if the memory is not available
    Backing allocate(String name, long sizeBytes);

    /// A piece of memory.
    interface Backing {
        /// The host's own mapping, from any thread, until [#release].
        ///
        /// @throws dev.mdev.api.MdevException EOPNOTSUPP if only [#guarded] may touch the memory
        MemorySegment segment();

        /// The only way to the content of memory that may vanish; null for other memory.
        default @Nullable GuardedMemory guarded() {
            return null;
        }

        /// The memory type that mappings have.
        default Caching caching() {
            return Caching.WRITE_BACK;
        }

        /// The file descriptor for further mappings of the same bytes, or -1.
        int fd();

        /// The offset of the first byte in that file.
        long fileOffsetBytes();

        /// Copies bytes out. A long copy of pages that were never written gives them no memory, if
        /// the backing can tell.
        default void read(long offsetBytes, MemorySegment destination) {
            MemorySegment.copy(segment(), offsetBytes, destination, 0, destination.byteSize());
        }

        /// Sets pages to zero, and checks that they are. Gives their memory back, if the backing
        /// can. No lazy range shows the pages meanwhile.
        ///
        /// @param offsetBytes the first byte of a page
        /// @param lengthBytes a multiple of the page size, at least a page
        /// @return whether they read as zero now
        default boolean clear(long offsetBytes, long lengthBytes) {
            MemorySegment part = segment().asSlice(offsetBytes, lengthBytes);
            part.fill((byte) 0);
            return isZero(part);
        }

        /// Frees it. Later accesses through the segment throw.
        void release();
    }

    /// Whether all bytes of a segment are zero.
    static boolean isZero(MemorySegment bytes) {
        long size = bytes.byteSize();
        // Each byte equals the one after it, and the first one is zero.
        return size == 0
                || (bytes.get(ValueLayout.JAVA_BYTE, 0) == 0
                        && MemorySegment.mismatch(bytes, 0, size - 1, bytes, 1, size) < 0);
    }
}
