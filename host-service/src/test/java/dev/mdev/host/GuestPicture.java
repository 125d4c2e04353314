package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.gate.Deadlines;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.UUID;

import javax.imageio.ImageIO;

/// The pictures that `gpu picture SEED` and `gpu draw` make in a guest.
final class GuestPicture {
    /// What Linux makes of a display of that kind.
    private static final int WIDTH = 1024;

    private static final int HEIGHT = 768;

    private GuestPicture() {}

    /// Compares a device's picture with that of a seed. Linux copies it to the device in a thread
    /// of its own, which may still be at it.
    static void assertShown(Api api, UUID mdev, int seed) throws IOException {
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        int wrong;
        do {
            wrong = wrongPixels(api, mdev, seed);
        } while (wrong != 0 && System.nanoTime() - end < 0);
        assertThat(wrong).as("pixels of another content").isZero();
    }

    private static int wrongPixels(Api api, UUID mdev, int seed) throws IOException {
        var response = api.bytes("/api/v1/mdevs/%s/picture".formatted(mdev));
        assertThat(response.statusCode()).isEqualTo(200);
        BufferedImage image = ImageIO.read(new ByteArrayInputStream(response.body()));
        assertThat(image.getWidth()).isEqualTo(WIDTH);
        assertThat(image.getHeight()).isEqualTo(HEIGHT);
        int[] pixels = image.getRGB(0, 0, WIDTH, HEIGHT, null, 0, WIDTH);
        int wrong = 0;
        for (int i = 0; i < pixels.length; i++) {
            int expected = (seed * 0x61C8_8647 + i * 0x9E37_79B1) >>> 8;
            wrong += (pixels[i] & 0xFF_FFFF) == expected ? 0 : 1;
        }
        return wrong;
    }
}
