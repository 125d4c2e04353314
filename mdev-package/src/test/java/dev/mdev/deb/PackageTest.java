package dev.mdev.deb;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/// The Debian package, in a Debian of its own: installed, used, upgraded, removed and purged.
@Tag("slow")
class PackageTest {
    private static final String UUID = "22222222-2222-4222-8222-222222222222";
    private static final String SETTINGS = "/etc/mdev/application.yaml";
    private static final String URL = "http://127.0.0.1:18080";

    @TempDir Path temp;

    /// The same rules as for each other service of systemd, by systemd's own judge.
    @Test
    void theUnitIsHardened() throws Exception {
        assumeTrue(isCommand("systemd-analyze"), "systemd-analyze is not installed");
        Path bin = Files.createDirectories(temp.resolve("usr/bin"));
        Path program = Files.createFile(bin.resolve("mdev-host"));
        Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwxr-xr-x"));
        Path units = Files.createDirectories(temp.resolve("usr/lib/systemd/system"));
        Files.copy(Path.of("src/deb/files/mdev-host.service"), units.resolve("mdev-host.service"));

        String verdict =
                Chroot.host(
                        "systemd-analyze",
                        "security",
                        "--offline=yes",
                        "--threshold=29",
                        "--no-pager",
                        "--root=" + temp,
                        "mdev-host.service");
        assertThat(verdict).contains("Overall exposure level for mdev-host.service");
    }

    @Test
    void aDebianInstallsUpgradesRemovesAndPurgesIt() throws Exception {
        Path deb = debOrSkip();
        try (Chroot debian = Chroot.make(temp.resolve("debian"), mirrorOrSkip())) {
            Set<String> before = names(debian);
            Files.copy(deb, debian.path("/tmp/mdev.deb"));
            provideJava(debian);

            debian.run("dpkg -i /tmp/java.deb /tmp/mdev.deb");
            isInstalled(debian);
            defineADevice(debian);

            Files.writeString(debian.path(SETTINGS), "# mine\n", StandardOpenOption.APPEND);
            newerVersion(debian);
            debian.run("dpkg -i --force-confold /tmp/newer.deb");
            assertThat(debian.run("dpkg-query -W -f '${Version}' mdev")).endsWith("+1");
            assertThat(Files.readString(debian.path(SETTINGS))).endsWith("# mine\n");
            assertThat(withService(debian, "mdev list --url " + URL)).contains(UUID);

            debian.run("dpkg -r mdev");
            assertThat(debian.path("/usr/bin/mdev")).doesNotExist();
            assertThat(debian.path("/var/lib/mdev/" + UUID + ".mdev")).exists();

            debian.run("dpkg -P mdev mdev-test-java && rm -rf /tmp/* ");
            Set<String> after = names(debian);
            after.removeAll(before);
            after.removeIf(PackageTest::belongsToDebian);
            assertThat(after).as("what purging leaves").isEmpty();
            assertThat(debian.run("grep mdev /etc/passwd /etc/group || true")).isEmpty();
        }
    }

    /// What Debian's own programs write: the package manager, and backups of the list of users.
    private static boolean belongsToDebian(String name) {
        return name.startsWith("/var/lib/dpkg/")
                || name.endsWith(".log")
                || name.matches("/etc/g?shadow-");
    }

    private static void isInstalled(Chroot debian) throws IOException {
        assertThat(debian.run("mdev --version")).contains("mdev");
        assertThat(debian.run("mdev-host --version")).contains("mdev-host");
        assertThat(debian.run("mdev-host --help")).contains("--mdev.state-dir");
        assertThat(debian.run("id mdev")).contains("(mdev)", "(kvm)");
        assertThat(debian.run("stat -c '%a %U' /var/lib/mdev")).isEqualTo("700 mdev\n");
        assertThat(debian.run("bash -c '. /usr/share/bash-completion/completions/mdev; complete'"))
                .contains("mdev");
        assertThat(debian.path("/etc/systemd/system/multi-user.target.wants/mdev-host.service"))
                .satisfies(link -> assertThat(Files.isSymbolicLink(link)).isTrue());
    }

    private static void defineADevice(Chroot debian) throws IOException {
        withService(
                debian,
                "mdev create gpu0 gpu-sample-16m --autostart --uuid %s --url %s"
                        .formatted(UUID, URL));
        assertThat(debian.path("/var/lib/mdev/" + UUID + ".mdev")).exists();
    }

    /// Runs a command while the service runs, as its unit starts it.
    private static String withService(Chroot debian, String command) throws IOException {
        Process service =
                debian.start(
                        "setpriv --reuid mdev --regid mdev --clear-groups mdev-host"
                                + " --spring.config.additional-location=optional:file:/etc/mdev/"
                                + " --server.port=18080 --mdev.socket-dir=/tmp/sockets");
        String output;
        try {
            long end = System.nanoTime() + Deadlines.HANG.toNanos();
            while (!Files.readString(debian.path("/tmp/out")).contains(" is ready")) {
                assertThat(service.isAlive() && System.nanoTime() < end)
                        .as("%s", Files.readString(debian.path("/tmp/out")))
                        .isTrue();
                Thread.onSpinWait();
            }
            output = debian.run(command);
        } finally {
            service.destroy();
        }
        assertThat(Chroot.exitOf(service)).isEqualTo(143);
        return output;
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

    private static void newerVersion(Chroot debian) throws IOException {
        debian.run(
                "dpkg-deb -R /tmp/mdev.deb /tmp/newer && sed -i 's/^Version: .*/&+1/'"
                    + " /tmp/newer/DEBIAN/control && dpkg-deb -Znone -b /tmp/newer /tmp/newer.deb");
    }

    private static Set<String> names(Chroot debian) throws IOException {
        Set<String> names = new TreeSet<>();
        debian.run("find / -xdev -not -path '/tmp/*'").lines().forEach(names::add);
        return names;
    }

    private static Path debOrSkip() throws IOException {
        Path folder = Path.of("target");
        assumeTrue(Files.isDirectory(folder), "the package is not built: run mvn package");
        try (Stream<Path> files = Files.list(folder)) {
            Path deb =
                    files.filter(file -> file.toString().endsWith(".deb")).findAny().orElse(null);
            assumeTrue(deb != null, "the package is not built: run mvn package");
            return Objects.requireNonNull(deb);
        }
    }

    private static String mirrorOrSkip() throws IOException {
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

    private static boolean isCommand(String name) {
        return Stream.of("/usr/sbin", "/usr/bin", "/sbin", "/bin")
                .anyMatch(folder -> Files.isExecutable(Path.of(folder, name)));
    }
}
