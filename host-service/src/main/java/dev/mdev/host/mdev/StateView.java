package dev.mdev.host.mdev;

import dev.mdev.core.bus.MdevStatus;
import dev.mdev.core.device.Activity;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;
import dev.mdev.host.event.Trouble;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/// The facts of a device, which are independent of each other.
///
/// @param defined whether it has a definition, which survives a restart
/// @param autostart whether it starts with its parent, of a defined device
/// @param active whether it exists in its parent and is usable
/// @param assigned whether it has a holder
/// @param owner its owner
/// @param activity the detail of `active`
/// @param heldPages the pages that it keeps from others
/// @param trouble its problem, if any, and those of its troubles that last
record StateView(
        boolean defined,
        @Nullable Boolean autostart,
        boolean active,
        boolean assigned,
        Owner owner,
        Activity activity,
        long heldPages,
        @Nullable String trouble) {
    static StateView of(MdevStatus status, List<Trouble> troubles) {
        return new StateView(
                status.definition().isPresent(),
                status.definition().map(MdevDefinition::autostart).orElse(null),
                status.activity() == Activity.ACTIVE,
                status.holder().isPresent(),
                status.owner(),
                status.activity(),
                status.heldPages(),
                words(status, troubles));
    }

    private static @Nullable String words(MdevStatus status, List<Trouble> troubles) {
        List<String> words =
                Stream.concat(
                                status.trouble().stream(),
                                troubles.stream()
                                        .map(it ->
                                                it.kind().name().toLowerCase(Locale.ROOT)
                                                        + ": "
                                                        + it.detail()))
                        .toList();
        return words.isEmpty() ? null : String.join("; ", words);
    }
}
