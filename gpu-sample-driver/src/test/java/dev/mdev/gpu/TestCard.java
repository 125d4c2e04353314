package dev.mdev.gpu;

import dev.mdev.api.Display;

/// A test card: eight colour bars above a grey ramp. It is defined here once, pixel by pixel,
/// independently of the driver.
final class TestCard {
    static final int WIDTH = 320;
    static final int HEIGHT = 240;

    /// Bytes from a line's start to the next, at 32 bits a pixel.
    static final int PITCH = 4 * WIDTH;

    /// The number of lines of the bars; the rest belongs to the ramp.
    static final int BAR_LINES = 180;

    private static final int[] BARS = {
        0xFFFFFF, 0xFFFF00, 0x00FFFF, 0x00FF00, 0xFF00FF, 0xFF0000, 0x0000FF, 0x000000
    };

    static final int BAR_WIDTH = WIDTH / BARS.length;

    /// Pages that the card takes: 320 * 240 * 4 bytes.
    static final int PAGES = 75;

    private TestCard() {}

    static int bar(int index) {
        return BARS[index];
    }

    static int bars() {
        return BARS.length;
    }

    static int grey(int x) {
        return (x % 256) * 0x01_01_01;
    }

    /// The colour of a pixel, `0x00RRGGBB`.
    static int rgb(int x, int y) {
        return y < BAR_LINES ? BARS[x / BAR_WIDTH] : grey(x);
    }

    /// Where a picture differs from the card.
    ///
    /// @return the first pixel that differs, or nothing to see
    static String differenceTo(Display.Picture picture) {
        if (picture.width() != WIDTH || picture.height() != HEIGHT) {
            return "size is " + picture.width() + "x" + picture.height();
        }
        for (int y = 0; y < HEIGHT; y++) {
            for (int x = 0; x < WIDTH; x++) {
                int seen = picture.rgb()[y * WIDTH + x];
                if (seen != rgb(x, y)) {
                    return "x=%d y=%d is %06x and not %06x".formatted(x, y, seen, rgb(x, y));
                }
            }
        }
        return "";
    }
}
