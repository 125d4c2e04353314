package dev.mdev.core.engine.kvm.mm;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Page;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.sys.FileAbi;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/// Memory that is a file: the descriptor, for further mappings of parts of it, and one mapping of
/// the whole for this process itself. That mapping is never registered with a userfaultfd, so Java
/// code may use it at any time.
///
/// Pages of a file that were never written are holes: reading them through the mapping would give
/// them memory, so long copies look for holes first.
public final class FileMapping implements MemoryBackend.Backing {
    /// From this length on, a copy costs more than the question where the holes are.
    private static final long LONG_COPY_BYTES = 64 << 10;

    private final Syscalls sys;
    private final NativeFd fd;
    private final Arena arena;
    private final MemorySegment segment;

    private FileMapping(Syscalls sys, NativeFd fd, Arena arena, MemorySegment segment) {
        this.sys = sys;
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
                sys,
                fd,
                arena,
                segmentAt(arena, hva, sizeBytes, () -> sys.munmap(hva, lengthBytes)));
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
    public void read(long offsetBytes, MemorySegment destination) {
        long length = destination.byteSize();
        if (length < LONG_COPY_BYTES) {
            MemorySegment.copy(segment, offsetBytes, destination, 0, length);
            return;
        }
        Objects.checkFromIndexSize(offsetBytes, length, segment.byteSize());
        long end = offsetBytes + length;
        long at = offsetBytes;
        while (at < end) {
            long data = nextData(at, end);
            destination.asSlice(at - offsetBytes, data - at).fill((byte) 0);
            at = nextHole(data, end);
            MemorySegment.copy(segment, data, destination, data - offsetBytes, at - data);
        }
    }

    /// Punches the pages out of the file, and reads the file back, which gives holes no memory.
    @Override
    public boolean clear(long offsetBytes, long lengthBytes) {
        Objects.checkFromIndexSize(offsetBytes, lengthBytes, segment.byteSize());
        long end = offsetBytes + lengthBytes;
        long at = nextData(offsetBytes, end);
        while (at < end) {
            long hole = nextHole(at, end);
            boolean zero =
                    tryPunch(at, hole - at)
                            ? isZeroInFile(at, hole - at)
                            : MemoryBackend.Backing.super.clear(at, hole - at);
            if (!zero) {
                return false;
            }
            at = nextData(hole, end);
        }
        return true;
    }

    /// The first byte in `[at, end)` that has memory, or `end`. A file that cannot tell has all.
    private long nextData(long at, long end) {
        if (at == end) {
            return end;
        }
        long found = sys.libc().lseek(fd.number(), at, FileAbi.SEEK_DATA);
        if (found < 0) {
            return sys.libc().errno() == Errno.ENXIO.code() ? end : at;
        }
        return Math.min(found, end);
    }

    /// The first byte in `[at, end)` that has no memory, or `end`.
    private long nextHole(long at, long end) {
        if (at == end) {
            return end;
        }
        long found = sys.libc().lseek(fd.number(), at, FileAbi.SEEK_HOLE);
        // It may have become a hole since it was found; a step is made in any case.
        return found <= at ? end : Math.min(found, end);
    }

    private boolean tryPunch(long offsetBytes, long lengthBytes) {
        return sys.libc()
                        .fallocate(
                                fd.number(),
                                FileAbi.FALLOC_FL_PUNCH_HOLE | FileAbi.FALLOC_FL_KEEP_SIZE,
                                offsetBytes,
                                lengthBytes)
                == 0;
    }

    private boolean isZeroInFile(long offsetBytes, long lengthBytes) {
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment buffer = scratch.allocate(Math.min(lengthBytes, LONG_COPY_BYTES));
            long done = 0;
            while (done < lengthBytes) {
                long wanted = Math.min(buffer.byteSize(), lengthBytes - done);
                long got =
                        sys.libc().pread(fd.number(), buffer.address(), wanted, offsetBytes + done);
                if (got <= 0) {
                    throw Syscalls.failure(
                            got < 0 ? sys.libc().errno() : Errno.EIO.code(),
                            "pread fd=%s offset=0x%x".formatted(fd, offsetBytes + done));
                }
                if (!MemoryBackend.isZero(buffer.asSlice(0, got))) {
                    return false;
                }
                done += got;
            }
            return true;
        }
    }

    @Override
    public void release() {
        arena.close();
        fd.close();
    }
}
