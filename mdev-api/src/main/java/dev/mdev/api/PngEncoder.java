package dev.mdev.api;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;
import java.util.zip.Deflater;
import java.util.zip.DeflaterOutputStream;

/// Writes a picture as a PNG file (ISO/IEC 15948): 8 bits per channel, truecolour, not interlaced,
/// no filters. The same picture always gives the same bytes.
final class PngEncoder {
    private static final byte[] SIGNATURE = {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

    private static final int BITS_A_CHANNEL = 8;
    private static final int TRUECOLOUR = 2;
    private static final int NO_FILTER = 0;
    private static final int BYTES_A_PIXEL = 3;

    private PngEncoder() {}

    static byte[] encode(Display.Picture picture) {
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        try (DataOutputStream out = new DataOutputStream(file)) {
            out.write(SIGNATURE);
            writeChunk(out, "IHDR", header(picture));
            writeChunk(out, "IDAT", pixels(picture));
            writeChunk(out, "IEND", new byte[0]);
        } catch (IOException e) {
            throw new UncheckedIOException("writing to memory", e);
        }
        return file.toByteArray();
    }

    private static byte[] header(Display.Picture picture) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        out.writeInt(picture.width());
        out.writeInt(picture.height());
        out.write(BITS_A_CHANNEL);
        out.write(TRUECOLOUR);
        // The only compression and filter methods there are, and no interlace.
        out.write(new byte[3]);
        return bytes.toByteArray();
    }

    private static byte[] pixels(Display.Picture picture) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        Deflater deflater = new Deflater(Deflater.BEST_SPEED);
        try (OutputStream out = new DeflaterOutputStream(bytes, deflater, 1 << 14)) {
            byte[] row = new byte[1 + picture.width() * BYTES_A_PIXEL];
            row[0] = NO_FILTER;
            for (int y = 0; y < picture.height(); y++) {
                int at = 1;
                for (int x = 0; x < picture.width(); x++) {
                    int rgb = picture.rgb()[y * picture.width() + x];
                    row[at++] = (byte) (rgb >> 16);
                    row[at++] = (byte) (rgb >> 8);
                    row[at++] = (byte) rgb;
                }
                out.write(row);
            }
        } finally {
            deflater.end();
        }
        return bytes.toByteArray();
    }

    /// Length, type, data, and the checksum of the latter two.
    private static void writeChunk(DataOutputStream out, String type, byte[] data)
            throws IOException {
        byte[] name = type.getBytes(StandardCharsets.US_ASCII);
        CRC32 crc = new CRC32();
        crc.update(name);
        crc.update(data);
        out.writeInt(data.length);
        out.write(name);
        out.write(data);
        out.writeInt((int) crc.getValue());
    }
}
