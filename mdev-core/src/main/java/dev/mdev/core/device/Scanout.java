package dev.mdev.core.device;

import dev.mdev.api.Display;
import dev.mdev.api.MdevDevice;

import java.util.Optional;

/// A device's output as a display.
public sealed interface Scanout {
    /// It is not a display.
    record NoDisplay() implements Scanout {}

    /// It is a display, and shows nothing now: it is off or blank, or its mode is one that the
    /// driver cannot put out.
    record Blank() implements Scanout {}

    /// It shows a picture.
    record Shown(Display.Picture picture) implements Scanout {}

    /// Asks the driver, in the device's turn.
    static Scanout of(MdevDevice device) {
        Optional<Display> display = device.display();
        if (display.isEmpty()) {
            return new NoDisplay();
        }
        Optional<Display.Picture> picture = display.get().picture();
        return picture.isPresent() ? new Shown(picture.get()) : new Blank();
    }
}
