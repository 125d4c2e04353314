package dev.mdev.host.parent;

import dev.mdev.api.MdevType;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.device.Parent;

import java.util.Locale;

/// How many more devices a parent takes.
public final class Availability {
    private Availability() {}

    /// How many more devices of the type could be created now, one after the other: none on a
    /// parent that is arriving or leaving, regardless of free pages.
    public static int of(MdevBus bus, Parent parent, MdevType type) {
        return parent.presence() == Parent.Presence.PRESENT ? bus.available(parent, type) : 0;
    }

    /// Why none could be created, if none could.
    static String refusal(Parent parent, MdevType type) {
        Parent.Presence presence = parent.presence();
        return presence == Parent.Presence.PRESENT
                ? parent.explain(type).orElse("there are %d already".formatted(type.maxInstances()))
                : "parent=%s is %s"
                        .formatted(parent.name(), presence.name().toLowerCase(Locale.ROOT));
    }
}
