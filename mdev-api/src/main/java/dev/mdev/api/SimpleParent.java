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
    /// A parent whose devices have no pages. Each parent has an aperture; this one has a page that
    /// no device uses.
    ///
    /// @throws MdevException as [ParentHost#allocateAperture]
    public static SimpleParent withoutPages(
            ParentHost host,
            String name,
            String description,
            MdevType type,
            Function<MdevContext, MdevDevice> devices) {
        return new SimpleParent(
                name,
                description,
                host.allocateAperture(name, 1),
                List.of(),
                List.of(type),
                devices);
    }

    @Override
    public MdevDevice create(MdevContext context) {
        return devices.apply(context);
    }
}
