package dev.mdev.vfiouser;

import dev.mdev.api.RegionInfo;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.engine.barfile.BarFile;

import java.util.Optional;

/// Where a client gets files with the mapped areas of BARs, so that its guest reaches them without
/// messages.
@FunctionalInterface
public interface BarFiles {
    /// There are none: the client sends a message for each access, and reaches the same pages.
    BarFiles NONE = (_, _) -> Optional.empty();

    /// The file of a region's mapped areas, for the time of one connection.
    ///
    /// @param region one with lazy or eager areas
    /// @return nothing if accesses to the region are to be trapped
    Optional<BarFile> open(MdevAssignment assignment, RegionInfo region);
}
