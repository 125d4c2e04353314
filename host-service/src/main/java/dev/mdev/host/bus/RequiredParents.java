package dev.mdev.host.bus;

import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.device.Parent;

import org.springframework.stereotype.Component;

import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/// The parents without which the service is not ready.
///
/// Any thread may call all methods.
@Component
public final class RequiredParents {
    private final MdevBus bus;
    private final List<String> names;

    RequiredParents(MdevBus bus, BusProperties properties) {
        this.bus = bus;
        this.names = properties.requireParents().stream().distinct().sorted().toList();
    }

    /// How many there are to be.
    public int count() {
        return names.size();
    }

    /// The names of those that are not present: absent, arriving or leaving.
    public List<String> missing() {
        Set<String> present =
                bus.parents().stream()
                        .filter(it -> it.presence() == Parent.Presence.PRESENT)
                        .map(Parent::name)
                        .collect(Collectors.toSet());
        return names.stream().filter(it -> !present.contains(it)).toList();
    }
}
