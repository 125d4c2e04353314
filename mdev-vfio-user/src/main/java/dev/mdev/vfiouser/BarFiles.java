package dev.mdev.vfiouser;

import dev.mdev.api.RegionInfo;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.sys.NativeFd;

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

    /// A file that shows a region: its offsets are the region's.
    interface BarFile extends AutoCloseable {
        /// The descriptor that the client gets; stays this object's.
        NativeFd fd();

        /// The parts that the client may map, ascending.
        List<Part> parts();

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
