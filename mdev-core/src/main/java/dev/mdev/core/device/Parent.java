package dev.mdev.core.device;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ResourcePool;

import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// A parent device on the bus.
public final class Parent {
    private final String driverName;
    private final ParentDevice device;
    private final List<MdevType> types;
    private final Capacity capacity;
    private final DriverCalls calls;
    private final Duration callDeadline;

    /// @throws MdevException EINVAL if what the driver says of the device makes no sense
    Parent(String driverName, ParentDevice device, Duration callDeadline) {
        this.driverName = driverName;
        this.device = device;
        this.callDeadline = callDeadline;
        checkPools(device);
        types = List.copyOf(device.types());
        checkTypes(device, types);
        capacity = new Capacity(device.pools());
        calls =
                new DriverCalls(
                        "parent=" + device.name(), callDeadline, (owner, callback, nanos) -> {});
    }

    private static void checkPools(ParentDevice device) {
        List<ResourcePool> pools = device.pools();
        for (int i = 0; i < pools.size(); i++) {
            ResourcePool pool = pools.get(i);
            boolean overlaps =
                    pools.subList(0, i).stream()
                            .anyMatch(other -> other.pfns().overlaps(pool.pfns()));
            if (overlaps || !device.aperture().pfns().contains(pool.pfns())) {
                throw new MdevException(
                        Errno.EINVAL,
                        "pool overlaps another or leaves the aperture: parent=%s %s"
                                .formatted(device.name(), pool));
            }
        }
    }

    private static void checkTypes(ParentDevice device, List<MdevType> types) {
        Set<String> ids = new HashSet<>();
        Set<String> pools = new HashSet<>();
        device.pools().forEach(pool -> pools.add(pool.name()));
        for (MdevType type : types) {
            if (!ids.add(type.id())) {
                throw new MdevException(Errno.EINVAL, "two types of one id: type=" + type.id());
            }
            for (MdevType.Demand demand : type.demands()) {
                if (!pools.contains(demand.pool())) {
                    throw new MdevException(
                            Errno.EINVAL,
                            "type=%s demands pool=%s, which the parent has not"
                                    .formatted(type.id(), demand.pool()));
                }
            }
        }
    }

    public String name() {
        return device.name();
    }

    public String driverName() {
        return driverName;
    }

    public String description() {
        return device.description();
    }

    public List<MdevType> types() {
        return types;
    }

    /// A type by its id.
    ///
    /// @throws MdevException ENOENT if the parent has no such type
    public MdevType type(String id) {
        return types.stream()
                .filter(type -> type.id().equals(id))
                .findFirst()
                .orElseThrow(() ->
                        new MdevException(
                                Errno.ENOENT, "parent=%s has no type=%s".formatted(name(), id)));
    }

    /// Each pool's state.
    public List<PoolUsage> usage() {
        return capacity.usage();
    }

    /// Why one more device of the type does not fit in the pools, or nothing if it does.
    public Optional<String> explain(MdevType type) {
        return capacity.explain(type);
    }

    Capacity capacity() {
        return capacity;
    }

    ParentDevice device() {
        return device;
    }

    DriverCalls calls() {
        return calls;
    }

    Duration callDeadline() {
        return callDeadline;
    }
}
