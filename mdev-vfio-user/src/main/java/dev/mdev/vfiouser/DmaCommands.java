package dev.mdev.vfiouser;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.sys.FileFacts;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.util.List;

/// The messages that map and unmap a guest's memory.
final class DmaCommands {
    private static final int MAP_BYTES = 32;
    private static final int UNMAP_BYTES = 24;
    private static final int READ = 1;
    private static final int WRITE = 1 << 1;
    private static final int UNMAP_ALL = 1 << 1;

    private final Syscalls sys;
    private final ClientDevice device;

    DmaCommands(Syscalls sys, ClientDevice device) {
        this.sys = sys;
        this.device = device;
    }

    /// Maps a range.
    ///
    /// @throws MdevException as [ClientMemory#map]; EINVAL for a malformed request
    void map(Message message) {
        message.require(MAP_BYTES);
        long flags = message.u32(4);
        long offset = message.u64(8);
        long iova = message.u64(16);
        long sizeBytes = message.u64(24);
        if (message.u32(0) < MAP_BYTES
                || flags == 0
                || (flags & ~(READ | WRITE)) != 0
                || message.fdCount() > 1
                || !isRange(iova, sizeBytes)
                || !Page.isAligned(offset)) {
            throw new MdevException(
                    Errno.EINVAL,
                    "flags=0x%x offset=0x%x iova=0x%x sizeBytes=0x%x descriptors=%d"
                            .formatted(flags, offset, iova, sizeBytes, message.fdCount()));
        }
        DmaMap.Request request = new DmaMap.Request(iova, sizeBytes, (flags & WRITE) != 0);
        List<NativeFd> fds = message.takeFds();
        NativeFd fd = fds.isEmpty() ? null : fds.getFirst();
        try {
            device.memory().map(request, placeOf(fd, offset, sizeBytes));
        } catch (RuntimeException | Error e) {
            fds.forEach(NativeFd::close);
            throw e;
        }
    }

    private ClientFile.@Nullable Place placeOf(
            @Nullable NativeFd fd, long offsetBytes, long sizeBytes) {
        if (fd == null) {
            return null;
        }
        FileFacts facts = FileFacts.of(sys, fd);
        // What it is comes first: only a file has a size.
        var _ = ClientFile.of(facts);
        return new ClientFile.Place(fd, facts, offsetBytes, sizeBytes);
    }

    private static boolean isRange(long iova, long sizeBytes) {
        long limit = GuestAccess.Span.GPA_LIMIT;
        return Page.isAligned(iova)
                && Page.isAligned(sizeBytes)
                && sizeBytes > 0
                && sizeBytes <= limit
                && iova >= 0
                && iova <= limit - sizeBytes;
    }

    /// Unmaps a range, or everything. The reply repeats the request.
    ///
    /// @return the length of the reply's body
    /// @throws MdevException ENOENT if exactly this range is not mapped
    long unmap(Message message, MemorySegment reply) {
        message.require(UNMAP_BYTES);
        long flags = message.u32(4);
        long iova = message.u64(8);
        long sizeBytes = message.u64(16);
        boolean all = flags == UNMAP_ALL;
        if (message.u32(0) < UNMAP_BYTES
                || (all ? iova != 0 || sizeBytes != 0 : flags != 0)
                || (!all && sizeBytes == 0)) {
            throw new MdevException(
                    Errno.EINVAL,
                    "flags=0x%x iova=0x%x sizeBytes=0x%x".formatted(flags, iova, sizeBytes));
        }
        if (all) {
            device.memory().all().forEach(device::unmap);
        } else {
            DmaMap map = device.memory().find(iova, sizeBytes);
            if (map == null) {
                throw new MdevException(
                        Errno.ENOENT,
                        "not mapped: iova=0x%x sizeBytes=0x%x".formatted(iova, sizeBytes));
            }
            device.unmap(map);
        }
        MemorySegment.copy(
                message.memory(), Wire.HEADER_BYTES, reply, Wire.HEADER_BYTES, UNMAP_BYTES);
        return UNMAP_BYTES;
    }
}
