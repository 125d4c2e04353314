package dev.mdev.core.store;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Objects;
import java.util.Optional;

/// The alias of a file whose name [StateFiles] does not accept: a tilde, and the bytes of the name,
/// of which all except letters, digits, dots, dashes and underscores are `~xx`. The alias is
/// stable, unique, and valid in a URL as it is: an operator deletes a stray file in the folder of
/// definitions by this name.
final class FileAlias {
    private static final char MARK = '~';

    private FileAlias() {}

    static boolean isAlias(String name) {
        return !name.isEmpty() && name.charAt(0) == MARK;
    }

    /// The name of a file of a directory, or its alias.
    static String nameOf(Path file) {
        byte[] name = bytesOf(file);
        String text = new String(name, StandardCharsets.ISO_8859_1);
        return StateFiles.isName(text) ? text : aliasOf(name);
    }

    private static String aliasOf(byte[] name) {
        StringBuilder alias = new StringBuilder().append(MARK);
        for (byte b : name) {
            char c = (char) (b & 0xff);
            if (isPlain(c)) {
                alias.append(c);
            } else {
                alias.append(MARK).append(HexFormat.of().toHexDigits(b));
            }
        }
        return alias.toString();
    }

    private static boolean isPlain(char c) {
        return (c >= 'a' && c <= 'z')
                || (c >= 'A' && c <= 'Z')
                || (c >= '0' && c <= '9')
                || "._-".indexOf(c) >= 0;
    }

    /// The last name of a path as the system has it. Its text may differ, because some names are
    /// not made of characters. A URI has the bytes, with those that are invalid in a URI as `%xx`.
    private static byte[] bytesOf(Path file) {
        String path = file.toUri().getRawPath();
        String whole = path.endsWith("/") ? path.substring(0, path.length() - 1) : path;
        String last = whole.substring(whole.lastIndexOf('/') + 1);
        byte[] bytes = new byte[last.length()];
        int length = 0;
        for (int i = 0; i < last.length(); i++) {
            char c = last.charAt(i);
            if (c == '%') {
                bytes[length++] = (byte) HexFormat.fromHexDigits(last, i + 1, i + 3);
                i += 2;
            } else {
                bytes[length++] = (byte) c;
            }
        }
        return Arrays.copyOf(bytes, length);
    }

    /// The file with the alias, if it exists.
    static Optional<Path> find(Path directory, String alias) throws IOException {
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(directory)) {
            for (Path entry : entries) {
                if (nameOf(entry).equals(alias)) {
                    return Optional.of(entry);
                }
            }
        } catch (DirectoryIteratorException e) {
            throw Objects.requireNonNull(e.getCause());
        }
        return Optional.empty();
    }
}
