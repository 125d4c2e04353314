package dev.mdev.host.mdev;

import dev.mdev.api.Display;

import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.DataBufferInt;
import java.awt.image.DirectColorModel;
import java.awt.image.Raster;
import java.io.ByteArrayOutputStream;
import java.io.IOException;

import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.MemoryCacheImageOutputStream;

/// Writes pictures as PNG files.
final class Png {
    private static final int[] RGB_MASKS = {0xff_0000, 0xff00, 0xff};
    private static final ColorModel RGB = new DirectColorModel(24, 0xff_0000, 0xff00, 0xff);

    /// Fast rather than small.
    private static final float QUALITY = 0.9f;

    private Png() {}

    /// The same picture always gives the same bytes.
    static byte[] encode(Display.Picture picture) throws IOException {
        int width = picture.width();
        DataBufferInt pixels = new DataBufferInt(picture.rgb(), picture.rgb().length);
        BufferedImage image =
                new BufferedImage(
                        RGB,
                        Raster.createPackedRaster(
                                pixels, width, picture.height(), width, RGB_MASKS, null),
                        false,
                        null);
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        ImageWriter writer = ImageIO.getImageWritersByFormatName("png").next();
        try (MemoryCacheImageOutputStream out = new MemoryCacheImageOutputStream(file)) {
            ImageWriteParam how = writer.getDefaultWriteParam();
            how.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
            how.setCompressionQuality(QUALITY);
            writer.setOutput(out);
            writer.write(null, new IIOImage(image, null, null), how);
        } finally {
            writer.dispose();
        }
        return file.toByteArray();
    }
}
