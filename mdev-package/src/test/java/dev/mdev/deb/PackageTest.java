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
import java.util.Set;
import java.util.TreeSet;

/// The Debian package, in a Debian of its own: installed, used, upgraded, removed and purged.
@Tag("slow")
class PackageTest {
    private static final String UUID = "22222222-2222-4222-8222-222222222222";
    private static final String SETTINGS = "/etc/mdev/application.yaml";
    private static final String SOCKET = "MDEV_SOCKET=/tmp/sockets/mdev.sock ";

    @TempDir Path temp;

    /// The same rules as for each other service of systemd, by systemd's own judge.
    @Test
    void theUnitIsHardened() throws Exception {
        assumeTrue(TestedPackage.isCommand("systemd-analyze"), "systemd-analyze is not installed");
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
        Path deb = TestedPackage.orSkip();
        try (Chroot debian =
                Chroot.make(temp.resolve("debian"), TestedPackage.mirrorOrSkip(), "passwd")) {
            Set<String> before = names(debian);
            TestedPackage.provide(deb, debian);

            debian.run("dpkg -i /tmp/java.deb /tmp/mdev.deb");
            isInstalled(debian);
            defineADevice(debian);

            Files.writeString(debian.path(SETTINGS), "# mine\n", StandardOpenOption.APPEND);
            TestedPackage.makeNewer(debian);
            debian.run("dpkg -i --force-confold /tmp/newer.deb");
            assertThat(debian.run("dpkg-query -W -f '${Version}' mdev")).endsWith("+1");
            assertThat(Files.readString(debian.path(SETTINGS))).endsWith("# mine\n");
            assertThat(withService(debian, SOCKET + "mdev list")).contains(UUID);

            debian.run("dpkg -r mdev");
            assertThat(debian.path("/usr/bin/mdev")).doesNotExist();
            assertThat(debian.path("/var/lib/mdev/" + UUID + ".mdev")).exists();

            debian.run("dpkg -i /tmp/newer.deb");
            isEnabled(debian);

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
        isEnabled(debian);
    }

    private static void isEnabled(Chroot debian) {
        assertThat(debian.path("/etc/systemd/system/multi-user.target.wants/mdev-host.service"))
                .satisfies(link -> assertThat(Files.isSymbolicLink(link)).isTrue());
    }

    private static void defineADevice(Chroot debian) throws IOException {
        withService(debian, SOCKET + "mdev create gpu0 gpu-sample-16m --autostart --uuid " + UUID);
        assertThat(debian.path("/var/lib/mdev/" + UUID + ".mdev")).exists();
    }

    /// Runs a command while the service runs, as its unit starts it.
    private static String withService(Chroot debian, String command) throws IOException {
        Process service =
                debian.start(
                        "setpriv --reuid mdev --regid mdev --clear-groups mdev-host"
                                + " --spring.config.additional-location=optional:file:/etc/mdev/"
                                + " --server.port=0 --mdev.socket-dir=/tmp/sockets");
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

    private static Set<String> names(Chroot debian) throws IOException {
        Set<String> names = new TreeSet<>();
        debian.run("find / -xdev -not -path '/tmp/*'").lines().forEach(names::add);
        return names;
    }
}
