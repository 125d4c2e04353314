package dev.mdev.host.mdev;

import dev.mdev.core.bus.MdevStatus;
import dev.mdev.core.device.Activity;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;

import org.jspecify.annotations.Nullable;

/// The facts of a device, which are independent of each other.
///
/// @param defined whether it is written down, and survives a restart
/// @param autostart whether it starts with its parent, of a device that is defined
/// @param active whether it exists in its parent and can be used
/// @param assigned whether somebody has it
/// @param owner whose it is
/// @param activity what `active` is short for
/// @param heldPages the pages that it keeps from others
/// @param trouble what is wrong with it, if something is
record StateView(
        boolean defined,
        @Nullable Boolean autostart,
        boolean active,
        boolean assigned,
        Owner owner,
        Activity activity,
        long heldPages,
        @Nullable String trouble) {
    static StateView of(MdevStatus status) {
        return new StateView(
                status.definition().isPresent(),
                status.definition().map(MdevDefinition::autostart).orElse(null),
                status.activity() == Activity.ACTIVE,
                status.holder().isPresent(),
                status.owner(),
                status.activity(),
                status.heldPages(),
                status.trouble().orElse(null));
    }
}
