package dev.mdev.core.engine.barfile;

import dev.mdev.core.hostmm.HostMm;

import java.util.List;

/// A region of a device as a file, for a client that maps it. Stub of the public type.
public interface BarFile extends AutoCloseable {
    /// A part of the file that a client may map.
    ///
    /// @param offsetBytes its offset, in the region and in the file, a multiple of the page size
    /// @param sizeBytes its size, a multiple of the page size
    record Area(long offsetBytes, long sizeBytes) {}

    /// The descriptor to pass to a client. It stays this object's, and lives until [#close].
    int fd();

    /// Size of the file: the end of the last area.
    long sizeBytes();

    /// The parts that may be mapped, sorted: lazy and eager areas. Accesses to all others fail.
    List<Area> areas();

    /// The region's mappings; for accesses by message, see [#hvaOf].
    HostMm hostMm();

    /// Where [#hostMm] has a byte of the region; meaningful in [#areas].
    long hvaOf(long offsetBytes);

    /// Pages that the driver has granted.
    long residentPages();

    /// Revokes everything, and leaves clients ones.
    @Override
    void close();
}
