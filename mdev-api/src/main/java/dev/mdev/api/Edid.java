package dev.mdev.api;

import java.nio.charset.StandardCharsets;

/// The description of the monitor that the host puts behind each [Display]: one block of VESA
/// Enhanced EDID 1.4, 1024x768 preferred. A device passes it to its guest in its own way.
public final class Edid {
    /// Bytes of the block.
    public static final int SIZE = 128;

    private static final int PREFERRED_TIMING = 54;
    private static final int RANGE_LIMITS = 72;
    private static final int NAME = 90;
    private static final int UNUSED = 108;

    private Edid() {}

    /// The block, a new array at each call.
    public static byte[] block() {
        byte[] edid = new byte[SIZE];
        put(edid, 0, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00);
        // Manufacturer "MDV" in three times 5 bits, product 1, no serial number, week 1 of 2025.
        put(edid, 8, 0x34, 0x96, 0x01, 0x00, 0, 0, 0, 0, 1, 2025 - 1990);
        // EDID 1.4; digital, 8 bits a colour, DisplayPort; 27x20 cm; gamma 2.2; sRGB.
        put(edid, 18, 1, 4, 0xA5, 27, 20, 120, 0x06);
        // The chromaticities of sRGB.
        put(edid, 25, 0xEE, 0x91, 0xA3, 0x54, 0x4C, 0x99, 0x26, 0x0F, 0x50, 0x54);
        // Established timings at 60 Hz: 640x480 and 800x600; 1024x768.
        put(edid, 35, 0x21, 0x08, 0x00);
        // Standard timings at 60 Hz: width / 8 - 31, aspect. 1280x1024, 1600x1200, 1920x1080.
        put(edid, 38, 129, 0x80, 169, 0x40, 209, 0xC0);
        for (int unused = 44; unused < PREFERRED_TIMING; unused += 2) {
            put(edid, unused, 1, 1);
        }
        // 1024x768 at 60 Hz (VESA DMT 10h): 65.00 MHz; 1024 + 320 by 768 + 38; 271x203 mm; the sync
        // pulses of 136 by 6 come after 24 and 3, and are negative.
        put(edid, PREFERRED_TIMING, 0x64, 0x19, 0x00, 0x40, 0x41, 0x00, 0x26, 0x30);
        put(edid, PREFERRED_TIMING + 8, 24, 136, 0x36, 0x00, 271 & 0xFF, 203, 0x10, 0, 0, 0x18);
        // 50 to 125 Hz, 30 to 160 kHz, up to 300 MHz, no more formulas.
        put(edid, RANGE_LIMITS, 0, 0, 0, 0xFD, 0, 50, 125, 30, 160, 30, 0x01, '\n');
        put(edid, RANGE_LIMITS + 12, ' ', ' ', ' ', ' ', ' ', ' ');
        put(edid, NAME, 0, 0, 0, 0xFC, 0);
        byte[] name = "Mdev display\n".getBytes(StandardCharsets.US_ASCII);
        System.arraycopy(name, 0, edid, NAME + 5, name.length);
        put(edid, UNUSED, 0, 0, 0, 0x10, 0);
        int sum = 0;
        for (byte b : edid) {
            sum += b;
        }
        edid[SIZE - 1] = (byte) -sum;
        return edid;
    }

    private static void put(byte[] edid, int offset, int... values) {
        for (int i = 0; i < values.length; i++) {
            edid[offset + i] = (byte) values[i];
        }
    }
}
