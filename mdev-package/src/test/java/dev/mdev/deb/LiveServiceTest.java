package dev.mdev.deb;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;

/// The package on a Debian whose systemd runs: the unit, and who may use the service.
@Tag("slow")
class LiveServiceTest {
    private static final String UUID = "33333333-3333-4333-8333-333333333333";
    private static final int REFUSED = 5;

    @TempDir Path temp;

    @Test
    void itsUnitServesItsGroupRestartsAtAnUpgradeAndGoesWithThePackage() throws Exception {
        Path deb = TestedPackage.orSkip();
        String mirror = TestedPackage.mirrorOrSkip();
        Optional<Path> groups = BootedDebian.controlGroups();
        assumeTrue(groups.isPresent(), "no namespaces and control groups for a Debian of its own");
        try (Chroot root = Chroot.make(temp.resolve("debian"), mirror, "systemd,passwd")) {
            TestedPackage.provide(deb, root);
            TestedPackage.makeNewer(root);
            // A start empties /tmp.
            root.run("mv /tmp/*.deb /srv/");
            try (BootedDebian debian = BootedDebian.boot(root, groups.get())) {
                debian.run("useradd -m alice && useradd -m bob");
                debian.run("dpkg -i /srv/java.deb /srv/mdev.deb && usermod -aG mdev alice");
                isActive(debian);
                assertThat(debian.run("systemctl is-enabled mdev-host")).isEqualTo("enabled\n");
                assertThat(debian.run("stat -c '%a %U:%G' /run/mdev-host/mdev.sock"))
                        .isEqualTo("660 mdev:mdev\n");

                assertThat(debian.run("runuser -u alice -- mdev types")).contains("gpu-sample-16m");
                BootedDebian.Result strangers = debian.tryRun("runuser -u bob -- mdev types");
                assertThat(strangers.code()).as(strangers.output()).isEqualTo(REFUSED);
                assertThat(strangers.output()).contains("unauthenticated");

                debian.run(
                        "runuser -u alice -- mdev create gpu0 gpu-sample-16m --autostart --uuid "
                                + UUID);
                String before = debian.run("systemctl show -p MainPID --value mdev-host");
                debian.run("dpkg -i /srv/newer.deb");
                isActive(debian);
                assertThat(debian.run("systemctl show -p MainPID --value mdev-host"))
                        .isNotEqualTo(before);
                assertThat(debian.run("runuser -u alice -- mdev list")).contains(UUID);

                debian.run("dpkg -r mdev && dpkg -i /srv/newer.deb");
                isActive(debian);
                assertThat(debian.run("runuser -u alice -- mdev list")).contains(UUID);

                debian.run("dpkg -P mdev");
                assertThat(debian.tryRun("systemctl is-active mdev-host").output())
                        .isEqualTo("inactive\n");
                assertThat(debian.run("ls /run /var/lib /etc | grep mdev || true")).isEmpty();
                assertThat(debian.tryRun("id mdev").output()).contains("no such user");
            }
        }
    }

    /// Waits until it answers.
    private static void isActive(BootedDebian debian) throws IOException {
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        while (debian.tryRun("mdev types").code() != 0) {
            assertThat(debian.run("systemctl is-active mdev-host")).isEqualTo("active\n");
            assertThat(System.nanoTime() - end)
                    .as("%s", debian.run("journalctl --no-pager -u mdev-host"))
                    .isNegative();
        }
    }
}
