package dev.mdev.core.bus;

import dev.mdev.api.Refusal;
import dev.mdev.core.device.Parent;

import java.util.Optional;

/// Closes leaving parents, each when its last device is gone.
final class ParentCloser {
    private final BusContext bus;

    ParentCloser(BusContext bus) {
        this.bus = bus;
    }

    /// Ends a use of a parent ([Registry#use]), and closes the parent if only that use was left.
    void endUse(Parent parent) {
        bus.registry().endUse(parent);
        closeIfReady(parent);
    }

    /// Begins to close a parent if it is leaving and empty. Its driver may not let go, so this
    /// happens on a thread of the parent's own.
    void closeIfReady(Parent parent) {
        if (!bus.registry().isReadyToClose(parent) || !parent.exit().begin()) {
            return;
        }
        try {
            Thread.ofPlatform()
                    .daemon()
                    .name("mdev-close-" + parent.name())
                    .start(() -> close(parent));
        } catch (RuntimeException | Error e) {
            // No thread is available: the next request to remove the parent tries again.
            parent.exit().cancel();
            throw e;
        }
    }

    private void close(Parent parent) {
        Optional<String> trouble = Optional.of("its driver did not close it");
        try {
            trouble = closeDevice(parent);
        } finally {
            gone(parent, trouble);
        }
    }

    private static Optional<String> closeDevice(Parent parent) {
        return parent.calls()
                .runAtLast("close", () -> parent.device().close())
                .map(Refusal::reason);
    }

    private void gone(Parent parent, Optional<String> trouble) {
        try {
            parent.turns().forEach(bus.watch()::remove);
            bus.registry().removeParent(parent);
            parent.releaseAperture();
            bus.observer().event(new MdevEvent.ParentLeft(parent.name(), trouble));
        } finally {
            parent.exit().finish();
        }
    }
}
