package dev.mdev.host.mdev;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Display;

import org.junit.jupiter.api.Test;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.SplittableRandom;

import javax.imageio.ImageIO;

class PngTest {
    @Test
    void anIndependentReaderGetsEveryPixelBack() throws IOException {
        SplittableRandom random = new SplittableRandom(1);
        for (int[] size : new int[][] {{1, 1}, {7, 3}, {640, 480}}) {
            int[] rgb = random.ints((long) size[0] * size[1], 0, 1 << 24).toArray();
            Display.Picture picture = new Display.Picture(size[0], size[1], rgb);

            BufferedImage read = ImageIO.read(new ByteArrayInputStream(Png.encode(picture)));

            assertThat(read.getWidth()).isEqualTo(size[0]);
            assertThat(read.getHeight()).isEqualTo(size[1]);
            assertThat(read.getRGB(0, 0, size[0], size[1], null, 0, size[0]))
                    .isEqualTo(withAlpha(rgb));
        }
    }

    private static int[] withAlpha(int[] rgb) {
        int[] argb = rgb.clone();
        for (int i = 0; i < argb.length; i++) {
            argb[i] |= 0xFF00_0000;
        }
        return argb;
    }
}
