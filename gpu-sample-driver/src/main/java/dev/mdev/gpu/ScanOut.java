package dev.mdev.gpu;

import dev.mdev.api.Display;

import java.lang.foreign.MemorySegment;
import java.util.Optional;

/// Turns VRAM into a picture, according to the mode. Untouched pages are black, and stay untouched.
final class ScanOut {
    /// The largest picture: a guest may set any mode that fits its VRAM, but the host must not hold
    /// a picture larger than a screen.
    private static final long MAX_PIXELS = 4096L * 4096;

    private ScanOut() {}

    /// How pixels are stored.
    ///
    /// @param bigEndian whether a pixel's highest byte comes first
    /// @param wideDac whether colours of the palette have 8 significant bits
    record Format(VgaPorts palette, boolean bigEndian, boolean wideDac) {}

    /// The picture, if the mode is supported. Four bits per pixel are not: they are spread over the
    /// four planes of VGA.
    static Optional<Display.Picture> picture(Dispi.Mode mode, Format format, Vram vram) {
        if (mode.bitsPerPixel() == 4 || (long) mode.width() * mode.height() > MAX_PIXELS) {
            return Optional.empty();
        }
        int bytesPerPixel = (mode.bitsPerPixel() + 7) / 8;
        byte[] line = new byte[mode.width() * bytesPerPixel];
        int[] rgb = new int[mode.width() * mode.height()];
        for (int y = 0; y < mode.height(); y++) {
            long start = mode.startBytes() + y * mode.lineBytes();
            vram.peek(start, MemorySegment.ofArray(line));
            for (int x = 0; x < mode.width(); x++) {
                int pixel = pixelAt(line, x * bytesPerPixel, bytesPerPixel, format.bigEndian());
                rgb[y * mode.width() + x] = rgbOf(pixel, mode.bitsPerPixel(), format);
            }
        }
        return Optional.of(new Display.Picture(mode.width(), mode.height(), rgb));
    }

    private static int pixelAt(byte[] line, int offset, int bytesPerPixel, boolean bigEndian) {
        int pixel = 0;
        for (int i = 0; i < bytesPerPixel; i++) {
            int from = bigEndian ? offset + i : offset + bytesPerPixel - 1 - i;
            pixel = (pixel << 8) | (line[from] & 0xFF);
        }
        return pixel;
    }

    private static int rgbOf(int pixel, int bitsPerPixel, Format format) {
        return switch (bitsPerPixel) {
            case 8 -> format.palette().rgb(pixel, format.wideDac());
            case 15 -> rgb(spread(pixel >> 10, 5), spread(pixel >> 5, 5), spread(pixel, 5));
            case 16 -> rgb(spread(pixel >> 11, 5), spread(pixel >> 5, 6), spread(pixel, 5));
            default -> pixel & 0xFF_FFFF;
        };
    }

    private static int rgb(int red, int green, int blue) {
        return (red << 16) | (green << 8) | blue;
    }

    /// The lowest `bits` bits as eight: the highest ones are repeated below, so that all ones stay
    /// all ones.
    private static int spread(int value, int bits) {
        int low = value & ((1 << bits) - 1);
        return (low << (8 - bits)) | (low >> (2 * bits - 8));
    }
}
