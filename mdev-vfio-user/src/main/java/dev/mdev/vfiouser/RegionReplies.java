package dev.mdev.vfiouser;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.RegionInfo;
import dev.mdev.core.engine.barfile.BarFile;
import dev.mdev.core.sys.UnixStream;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;

/// The answers about regions, with the files of those that a client can map
/// (`VFIO_DEVICE_GET_REGION_INFO`).
final class RegionReplies {
    private static final int INFO_BYTES = 32;
    private static final int CAPABILITY_BYTES = 16;
    private static final int AREA_BYTES = 16;
    private static final int SPARSE_MMAP = 1;
    private static final int SPARSE_VERSION = 1;

    private static final int READ = 1;
    private static final int WRITE = 1 << 1;
    private static final int MMAP = 1 << 2;
    private static final int CAPS = 1 << 3;

    private final RegionAccessor regions;
    private int[] fds = UnixStream.NO_FDS;

    RegionReplies(RegionAccessor regions) {
        this.regions = regions;
    }

    /// The file that goes with the last answer.
    int[] fds() {
        return fds;
    }

    /// Writes the answer about one region.
    ///
    /// @param reply the body begins after the header
    /// @return the length of the reply's body
    /// @throws MdevException EINVAL if there is no such index, or no room for the fixed part
    long write(Message request, MemorySegment reply) {
        request.require(INFO_BYTES);
        long room = request.u32(0);
        long index = request.u32(8);
        if (room < INFO_BYTES || index >= regions.indexes()) {
            throw new MdevException(Errno.EINVAL, "region=%d argszBytes=%d".formatted(index, room));
        }
        RegionInfo info = regions.info((int) index);
        @Nullable BarFile file = regions.file((int) index);
        long needed = INFO_BYTES + (file == null ? 0 : capabilityBytes(file));
        boolean whole = room >= needed;
        long at = Wire.HEADER_BYTES;
        Wire.u32(reply, at, needed);
        Wire.u32(reply, at + 4, flags(info, file, whole));
        Wire.u32(reply, at + 8, index);
        Wire.u32(reply, at + 12, file != null && whole ? INFO_BYTES : 0);
        Wire.u64(reply, at + 16, info == null ? 0 : info.sizeBytes());
        Wire.u64(reply, at + 24, 0);
        if (file == null || !whole) {
            fds = UnixStream.NO_FDS;
            return INFO_BYTES;
        }
        capability(reply, at + INFO_BYTES, file);
        fds = new int[] {file.fd()};
        return needed;
    }

    private static long capabilityBytes(BarFile file) {
        return CAPABILITY_BYTES + (long) file.areas().size() * AREA_BYTES;
    }

    private static int flags(@Nullable RegionInfo info, @Nullable BarFile file, boolean whole) {
        if (info == null) {
            return 0;
        }
        int rights = info.index() == RegionInfo.ROM ? READ : READ | WRITE;
        if (file == null) {
            return rights;
        }
        return rights | MMAP | (whole ? CAPS : 0);
    }

    private static void capability(MemorySegment reply, long at, BarFile file) {
        Wire.u16(reply, at, SPARSE_MMAP);
        Wire.u16(reply, at + 2, SPARSE_VERSION);
        Wire.u32(reply, at + 4, 0);
        Wire.u32(reply, at + 8, file.areas().size());
        Wire.u32(reply, at + 12, 0);
        long area = at + CAPABILITY_BYTES;
        for (BarFile.Area part : file.areas()) {
            Wire.u64(reply, area, part.offsetBytes());
            Wire.u64(reply, area + Long.BYTES, part.sizeBytes());
            area += AREA_BYTES;
        }
    }
}
