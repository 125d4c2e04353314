package dev.mdev.core.support;

import dev.mdev.api.Aperture;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ResourcePool;

import java.util.List;
import java.util.function.Function;

/// A parent of one type and one pool, which is all of its aperture.
///
/// @param type has one demand, of the pool
/// @param devices makes the devices
public record TestParent(
        String name, Aperture aperture, MdevType type, Function<MdevContext, MdevDevice> devices)
        implements ParentDevice {
    @Override
    public String description() {
        return "a parent for tests";
    }

    @Override
    public List<ResourcePool> pools() {
        return List.of(new ResourcePool(type.demands().getFirst().pool(), aperture.pfns()));
    }

    @Override
    public List<MdevType> types() {
        return List.of(type);
    }

    @Override
    public MdevDevice create(MdevContext context) {
        return devices.apply(context);
    }

    @Override
    public void close() {}
}
