package dev.mdev.core.bus;

import java.util.Optional;

/// How a device was ended. It is gone, and its pages are scrubbed.
///
/// @param holder who had it when the removal began, if somebody had
/// @param taken whether it was taken away from the holder, which did not let it go
/// @param trouble what its driver said when it was closed, if that failed
public record RemovalReport(Optional<String> holder, boolean taken, Optional<String> trouble) {
    /// Nothing was active: only a definition was deleted.
    static final RemovalReport INACTIVE =
            new RemovalReport(Optional.empty(), false, Optional.empty());
}
