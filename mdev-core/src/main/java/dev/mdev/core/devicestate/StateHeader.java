package dev.mdev.core.devicestate;

import java.util.List;
import java.util.UUID;

/// The device that a state belongs to.
///
/// @param uuid the device that was saved
/// @param driver its driver's name
/// @param type its type's id
/// @param stateVersion the driver's version of its state
/// @param pools its pages, pool by pool
public record StateHeader(
        UUID uuid, String driver, String type, int stateVersion, List<Pool> pools) {
    public StateHeader {
        pools = List.copyOf(pools);
    }

    /// The device's pages of one pool.
    ///
    /// @param name the pool's name
    /// @param npages at least 1
    public record Pool(String name, long npages) {}
}
