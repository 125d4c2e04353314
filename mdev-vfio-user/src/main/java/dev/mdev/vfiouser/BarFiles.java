package dev.mdev.vfiouser;

import dev.mdev.api.RegionInfo;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.hostmm.HostMm;

import java.util.List;
import java.util.Optional;

/// Where a client gets files with the mapped areas of BARs, so that its guest reaches them without
/// messages.
public interface BarFiles {
    /// There are none: the client sends a message for each access, and reaches the same pages.
    BarFiles NONE = (_, _) -> Optional.empty();

    /// The file of a region's mapped areas, for the time of one connection.
    ///
    /// @param region one with lazy or eager areas
    /// @return nothing if accesses to the region are to be trapped
    Optional<BarFile> open(MdevAssignment assignment, RegionInfo region);

    /// A file that shows a region: its offsets are the region's. It has all the region's lazy and
    /// eager areas.
    interface BarFile extends AutoCloseable {
        /// The descriptor that the client gets; stays this object's.
        int fd();

        /// The parts that the client may map, ascending.
        List<Part> parts();

        /// The address space in which the areas are mapped, for accesses by messages.
        HostMm hostMm();

        /// The address of a byte of an area in [#hostMm].
        ///
        /// @param offsetBytes in the region
        long hvaOf(long offsetBytes);

        /// Takes the mappings of the client away. When it returns, none reaches the device's pages.
        @Override
        void close();
    }

    /// A part of a region.
    ///
    /// @param offsetBytes a multiple of the page size
    /// @param sizeBytes likewise, at least one page
    record Part(long offsetBytes, long sizeBytes) {}
}
