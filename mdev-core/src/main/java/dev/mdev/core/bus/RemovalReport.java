package dev.mdev.core.bus;

import java.util.Optional;

/// How a device ended. It is gone, and its pages are scrubbed.
///
/// @param holder its holder when the removal began, if any
/// @param taken whether it was taken away from a holder that did not release it
/// @param trouble its driver's error at the close, if that failed
public record RemovalReport(Optional<String> holder, boolean taken, Optional<String> trouble) {
    /// No device was active: only a definition was deleted.
    static final RemovalReport INACTIVE =
            new RemovalReport(Optional.empty(), false, Optional.empty());
}
