package dev.mdev.gate;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/// The Java files of the module that runs the tests.
public final class ModuleSources {
    private ModuleSources() {}

    /// The module's folder: surefire starts tests there.
    public static Path root() {
        Path folder = Path.of("").toAbsolutePath();
        if (!Files.isDirectory(folder.resolve("src"))) {
            throw new IllegalStateException("no src in %s: not a module".formatted(folder));
        }
        return folder;
    }

    /// All files of the module, `main` and `test`.
    public static List<Path> all() {
        return under("src");
    }

    /// The files of `main`.
    public static List<Path> main() {
        return under("src/main/java");
    }

    private static List<Path> under(String folder) {
        Path start = root().resolve(folder);
        if (!Files.isDirectory(start)) {
            return List.of();
        }
        try (Stream<Path> found = Files.walk(start)) {
            return found.filter(file -> file.toString().endsWith(".java")).sorted().toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// A file's name in the checkout, with the module's folder in front.
    public static String nameOf(Path file) {
        return root().resolveSibling("").relativize(file).toString();
    }
}
