package dev.mdev.core.store;

import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32C;

/// CRC-32C (Castagnoli), as eight hexadecimal digits.
final class Checksum {
    private Checksum() {}

    static String of(String text) {
        CRC32C crc = new CRC32C();
        crc.update(text.getBytes(StandardCharsets.ISO_8859_1));
        return "%08x".formatted(crc.getValue());
    }
}
