package dev.mdev.host.mdev;

import dev.mdev.core.bus.MdevStatus;
import dev.mdev.core.device.Activity;
import dev.mdev.core.ledger.Owner;
import dev.mdev.host.web.Filter;

import org.jspecify.annotations.Nullable;

import java.util.function.Predicate;

/// Which devices a client wants. What is null does not matter.
record MdevFilter(
        @Nullable String parent,
        @Nullable String type,
        @Nullable String machine,
        @Nullable Activity activity,
        @Nullable Owner owner,
        @Nullable Boolean defined)
        implements Predicate<MdevStatus> {
    @Override
    public boolean test(MdevStatus status) {
        return Filter.fits(parent, status.parent())
                && Filter.fits(type, status.type())
                && Filter.fits(machine, status.holder().orElse(null))
                && Filter.fits(activity, status.activity())
                && Filter.fits(owner, status.owner())
                && Filter.fits(defined, status.definition().isPresent());
    }
}
