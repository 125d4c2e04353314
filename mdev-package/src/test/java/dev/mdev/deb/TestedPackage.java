package dev.mdev.deb;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.stream.Stream;

/// The package that the build made, for a Debian of the tests.
final class TestedPackage {
    private TestedPackage() {}

    /// Puts it, and a package that stands for this machine's Java, where [Chroot] can install them:
    /// `/tmp/java.deb` and `/tmp/mdev.deb`.
    static void provide(Path deb, Chroot debian) throws IOException {
        Files.copy(deb, debian.path("/tmp/mdev.deb"));
        provideJava(debian);
    }

    /// This machine's Java is mounted, and a package says so.
    private static void provideJava(Chroot debian) throws IOException {
        Path control = Files.createDirectories(debian.path("/tmp/java/DEBIAN")).resolve("control");
        Files.writeString(
                control,
                """
                Package: mdev-test-java
                Version: 1
                Architecture: all
                Maintainer: tests <tests@localhost>
                Provides: java25-runtime-headless
                Description: the Java of the tests
                """);
        debian.run("dpkg-deb -b /tmp/java /tmp/java.deb");
    }

    /// The same with a higher version, `/tmp/newer.deb`.
    static void makeNewer(Chroot debian) throws IOException {
        debian.run(
                "dpkg-deb -R /tmp/mdev.deb /tmp/newer && sed -i 's/^Version: .*/&+1/'"
                    + " /tmp/newer/DEBIAN/control && dpkg-deb -Znone -b /tmp/newer /tmp/newer.deb");
    }

    static Path orSkip() throws IOException {
        Path folder = Path.of("target");
        assumeTrue(Files.isDirectory(folder), "the package is not built: run mvn package");
        try (Stream<Path> files = Files.list(folder)) {
            Path deb =
                    files.filter(file -> file.toString().endsWith(".deb")).findAny().orElse(null);
            assumeTrue(deb != null, "the package is not built: run mvn package");
            return Objects.requireNonNull(deb);
        }
    }

    /// The address of Debian's archive.
    static String mirrorOrSkip() throws IOException {
        assumeTrue(
                isCommand("debootstrap")
                        && isCommand("chroot")
                        && "root".equals(System.getProperty("user.name")),
                "no root or no debootstrap");
        try {
            return Chroot.host("../.ci/mirror").strip();
        } catch (AssertionError e) {
            assumeTrue(false, "no mirror of Debian is known here");
            throw e;
        }
    }

    static boolean isCommand(String name) {
        return Stream.of("/usr/sbin", "/usr/bin", "/sbin", "/bin")
                .anyMatch(folder -> Files.isExecutable(Path.of(folder, name)));
    }
}
