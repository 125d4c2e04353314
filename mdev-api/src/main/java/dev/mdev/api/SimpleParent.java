package dev.mdev.api;

import java.util.List;
import java.util.function.Function;

/// A parent device that is its description: for drivers whose parents hold nothing that must be
/// released, and whose devices end with the process.
///
/// @param devices creates a mediated device: see [ParentDevice#create]
public record SimpleParent(
        String name,
        String description,
        Aperture aperture,
        List<ResourcePool> pools,
        List<MdevType> types,
        Function<MdevContext, MdevDevice> devices)
        implements ParentDevice {
    @Override
    public MdevDevice create(MdevContext context) {
        return devices.apply(context);
    }
}
