package dev.mdev.core.engine.kvm.mm;

import dev.mdev.api.page.Page;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Memory that is a file: the descriptor, for further mappings of parts of it, and one mapping of
/// the whole for this process itself. That mapping is never registered with a userfaultfd, so Java
/// code may use it at any time.
public final class FileMapping implements MemoryBackend.Backing {
    private final NativeFd fd;
    private final Arena arena;
    private final MemorySegment segment;

    private FileMapping(NativeFd fd, Arena arena, MemorySegment segment) {
        this.fd = fd;
        this.arena = arena;
        this.segment = segment;
    }

    /// Maps the first bytes of a file, for loads and stores.
    ///
    /// @param fd becomes this object's, even if mapping it fails
    /// @param sizeBytes at least 1, at most the size of the file
    public static FileMapping of(Syscalls sys, NativeFd fd, long sizeBytes) {
        long lengthBytes = Page.bytesOf(Page.countFor(sizeBytes));
        long hva;
        try {
            hva =
                    sys.mmap(
                            new Syscalls.Placement(
                                    0,
                                    lengthBytes,
                                    LinuxAbi.PROT_READ | LinuxAbi.PROT_WRITE,
                                    LinuxAbi.MAP_SHARED),
                            fd,
                            0);
        } catch (RuntimeException | Error e) {
            fd.close();
            throw e;
        }
        Arena arena = Arena.ofShared();
        return new FileMapping(
                fd, arena, segmentAt(arena, hva, sizeBytes, () -> sys.munmap(hva, lengthBytes)));
    }

    /// The size is that of a mapping made just now, which lives until the arena is closed.
    @SuppressWarnings("restricted")
    public static MemorySegment segmentAt(Arena arena, long hva, long sizeBytes, Runnable unmap) {
        return MemorySegment.ofAddress(hva).reinterpret(sizeBytes, arena, _ -> unmap.run());
    }

    @Override
    public MemorySegment segment() {
        return segment;
    }

    public NativeFd file() {
        return fd;
    }

    @Override
    public int fd() {
        return fd.number();
    }

    @Override
    public long fileOffsetBytes() {
        return 0;
    }

    @Override
    public void release() {
        arena.close();
        fd.close();
    }
}
