package dev.mdev.api;

import java.util.Optional;

/// A device that puts out a picture.
public interface Display {
    /// The current picture, if there is one.
    ///
    /// Called on any thread, in the device's turn like every other callback.
    Optional<Picture> picture();

    /// A picture.
    ///
    /// @param width in pixels, at least 1
    /// @param height in pixels, at least 1
    /// @param rgb `width * height` pixels row by row, `0x00RRGGBB` each
    @SuppressWarnings("ArrayRecordComponent") // a picture is handed over, not compared
    record Picture(int width, int height, int[] rgb) {
        public Picture {
            if (width < 1 || height < 1 || rgb.length != Math.multiplyExact(width, height)) {
                throw new IllegalArgumentException(
                        "width=%d height=%d pixels=%d".formatted(width, height, rgb.length));
            }
        }
    }
}
