package dev.mdev.core.engine.kvm.kernel;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/// Short files of `/proc/sys`.
public final class KernelFile {
    private static final int MAX_BYTES = 256;

    private KernelFile() {}

    /// The content without its line end. One call reads it: for the kernel, a file with a number
    /// ends with the first read, and libraries that read one byte first would see one digit.
    public static String read(Path file) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            byte[] buffer = new byte[MAX_BYTES];
            int length = Math.max(in.read(buffer), 0);
            return new String(buffer, 0, length, StandardCharsets.US_ASCII).strip();
        }
    }
}
