package dev.mdev.host.parent;

import dev.mdev.core.capacity.PoolUsage;
import dev.mdev.core.device.Parent;

import java.util.List;

/// A parent, as clients see it.
///
/// @param driver the name of its driver
/// @param presence whether it is arriving, present or leaving
/// @param mdevs the number of its mediated devices
/// @param pools its capacity, in pages of 4096 bytes
record ParentView(
        String name,
        String driver,
        String description,
        Parent.Presence presence,
        int mdevs,
        List<PoolUsage> pools,
        List<TypeView> types) {}
