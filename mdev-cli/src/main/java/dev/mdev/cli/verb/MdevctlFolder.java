package dev.mdev.cli.verb;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;

import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.Stream;

/// mdevctl's folder of definitions: `FOLDER/PARENT/UUID`.
record MdevctlFolder(Path folder) {
    /// The largest file that is read. mdevctl's own have some hundred bytes.
    private static final int MAX_FILE_BYTES = 256 << 10;

    /// mdevctl's folder for scripts, which is not a parent's.
    private static final String SCRIPTS = "scripts.d";

    /// What is in the folder of a parent.
    sealed interface Entry {
        /// Where it is, below mdevctl's folder.
        String path();
    }

    /// A file with text.
    record Definition(String path, String text) implements Entry {}

    /// Something that cannot be read as a text, or the folder of a parent that cannot be listed.
    record Unfit(String path, String reason) implements Entry {}

    /// Reads everything in the folders of parents, in the order of their names. What is directly in
    /// mdevctl's folder and is no folder belongs to nobody, as for mdevctl.
    ///
    /// @throws Failure if the folder itself cannot be listed
    void read(Consumer<Entry> to) {
        for (Path parent : parents()) {
            if (!Files.isDirectory(parent, NOFOLLOW_LINKS) || parent.endsWith(SCRIPTS)) {
                continue;
            }
            List<Path> entries;
            try {
                entries = list(parent);
            } catch (IOException e) {
                to.accept(new Unfit(nameOf(parent), unreadable(e)));
                continue;
            }
            entries.forEach(entry -> to.accept(read(entry)));
        }
    }

    private List<Path> parents() {
        try {
            return list(folder);
        } catch (IOException e) {
            throw new Failure(
                    ExitCode.FAILED, "%s: %s".formatted(folder, e), "see whether it can be read");
        }
    }

    private static List<Path> list(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.sorted().toList();
        } catch (UncheckedIOException e) {
            throw Objects.requireNonNull(e.getCause());
        }
    }

    private Entry read(Path file) {
        String name = nameOf(file);
        // A folder, or a pipe, whose opening would wait. mdevctl follows no links.
        if (!Files.isRegularFile(file, NOFOLLOW_LINKS)) {
            return new Unfit(name, "not a file");
        }
        try (InputStream in = Files.newInputStream(file)) {
            byte[] bytes = in.readNBytes(MAX_FILE_BYTES + 1);
            return bytes.length > MAX_FILE_BYTES
                    ? new Unfit(name, "larger than %d bytes".formatted(MAX_FILE_BYTES))
                    : new Definition(name, text(bytes));
        } catch (CharacterCodingException e) {
            return new Unfit(name, "not UTF-8");
        } catch (IOException e) {
            return new Unfit(name, unreadable(e));
        }
    }

    private static String text(byte[] bytes) throws CharacterCodingException {
        return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    }

    private String nameOf(Path file) {
        return folder.relativize(file).toString();
    }

    private static String unreadable(IOException e) {
        // The message of such an exception is the path.
        String why =
                e instanceof FileSystemException ? e.getClass().getSimpleName() : e.getMessage();
        return "cannot be read: " + why;
    }
}
