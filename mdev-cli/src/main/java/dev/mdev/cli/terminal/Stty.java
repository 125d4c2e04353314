package dev.mdev.cli.terminal;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Asks the terminal of this process for its size, by `stty`.
final class Stty {
    private static final Pattern SIZE = Pattern.compile("([1-9][0-9]{0,4}) [0-9]+\\s*");
    private static final int MAX_BYTES = 64;

    private Stty() {}

    /// The lines that it shows at once; empty if there is no such program, no terminal, or a
    /// terminal that does not know.
    static OptionalInt rows() {
        ProcessBuilder stty =
                new ProcessBuilder("stty", "size")
                        .redirectInput(new File("/dev/tty"))
                        .redirectError(ProcessBuilder.Redirect.DISCARD);
        try (InputStream printed = stty.start().getInputStream()) {
            return rowsOf(new String(printed.readNBytes(MAX_BYTES), US_ASCII));
        } catch (IOException e) {
            return OptionalInt.empty();
        }
    }

    /// Reads `ROWS COLUMNS`.
    static OptionalInt rowsOf(String printed) {
        Matcher size = SIZE.matcher(printed);
        return size.matches()
                ? OptionalInt.of(Integer.parseInt(size.group(1)))
                : OptionalInt.empty();
    }
}
