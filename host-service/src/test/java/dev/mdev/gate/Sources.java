package dev.mdev.gate;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/// The Java files of the checkout.
final class Sources {
    private static final List<String> MODULES =
            List.of("mdev-api", "mdev-testkit", "mdev-core", "gpu-sample-driver", "host-service");

    private Sources() {}

    /// The checkout's root: surefire starts tests in their module.
    static Path root() {
        Path folder = Path.of("").toAbsolutePath();
        while (!Files.isDirectory(folder.resolve("mdev-api"))) {
            folder = folder.getParent();
            if (folder == null) {
                throw new IllegalStateException("the tests do not run inside the checkout");
            }
        }
        return folder;
    }

    /// All files of all modules, `main` and `test`.
    static List<Path> all() {
        List<Path> files = new ArrayList<>();
        for (String module : MODULES) {
            files.addAll(under(module + "/src"));
        }
        return files;
    }

    /// The files of `main` of all modules.
    static List<Path> main() {
        List<Path> files = new ArrayList<>();
        for (String module : MODULES) {
            files.addAll(under(module + "/src/main/java"));
        }
        return files;
    }

    /// The files under a folder of the checkout.
    static List<Path> under(String folder) {
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

    static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// A file's name as people write it.
    static String nameOf(Path file) {
        return root().relativize(file).toString();
    }
}
