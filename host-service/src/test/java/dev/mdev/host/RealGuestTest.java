package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import static java.nio.charset.StandardCharsets.UTF_8;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.TimeUnit;

/// Unmodified QEMU with a Debian kernel, whose drivers use devices of the service.
@Tag("slow")
@EnabledIfEnvironmentVariable(
        named = QemuGuest.FOLDER,
        matches = ".+",
        disabledReason = QemuGuest.NO_FOLDER)
class RealGuestTest {
    /// The place of the first device on a bus without others.
    private static final String BDF = "0000:00:01.0";

    private static final int REVOCATIONS = Integer.getInteger("mdev.guest.revocations", 1000);
    private static final int KILLS = Integer.getInteger("mdev.guest.kills", 6);

    @TempDir static Path shared;
    private static Path program = Path.of("");

    private final Path folder;
    private ServiceProcess service;

    RealGuestTest(@TempDir Path folder) throws Exception {
        this.folder = folder;
        service = start(folder);
    }

    private static ServiceProcess start(Path folder) throws Exception {
        return ServiceProcess.start(folder, "--mdev.socket-dir=" + folder.resolve("sockets"));
    }

    @BeforeAll
    static void compile() throws Exception {
        program = QemuGuest.compile(shared);
    }

    @AfterEach
    void stop() throws Exception {
        // Not killed, so that nothing stays mounted.
        service.stop();
        service.close();
    }

    @Test
    void aPictureThatLinuxDrawsIsThePictureOfTheDevice() throws Exception {
        UUID mdev = device("vm1");
        try (QemuGuest guest = boot("vm1")) {
            guest.run("gpu picture 7");

            assertPicture(mdev, 7);
            // The guest has touched little more than the screen: 1024 by 768 pixels are 768 pages.
            assertThat(residentPages(mdev)).isBetween(768L, 900L);
        }
    }

    @Test
    void onlyThePagesThatTheGuestTouchesAreResident() throws Exception {
        UUID mdev = device("vm1");
        try (QemuGuest guest = boot("vm1")) {
            guest.run("echo %s >/sys/bus/pci/drivers/bochs-drm/unbind".formatted(BDF));
            guest.run("echo 1 >/sys/bus/pci/devices/%s/enable".formatted(BDF));
            revoke(mdev);
            assertThat(residentPages(mdev)).isZero();

            assertThat(guest.run("gpu touch %s 100 29".formatted(BDF))).isEqualTo("0");
            assertThat(residentPages(mdev)).isEqualTo(100);
            assertThat(guest.run("gpu check %s 100 29".formatted(BDF))).isEqualTo("0");

            revoke(mdev);
            assertThat(residentPages(mdev)).isZero();
            assertThat(guest.run("gpu check %s 100 29".formatted(BDF))).isEqualTo("0");
        }
    }

    @Test
    void noPixelIsLostWhileAllPagesAreRevokedAgainAndAgain() throws Exception {
        UUID mdev = device("vm1");
        try (QemuGuest guest = boot("vm1")) {
            guest.run("gpu draw 5 1000000 &");
            for (int i = 0; i < REVOCATIONS; i++) {
                revoke(mdev);
            }
            guest.run("killall gpu; wait; gpu draw 11 3");

            assertPicture(mdev, 11);
        }
    }

    @Test
    void guestsOnOneGpuSeeTheirOwnPicturesOnly() throws Exception {
        UUID first = device("vm1");
        UUID second = device("vm2");
        try (QemuGuest one = boot("vm1");
                QemuGuest other = boot("vm2")) {
            one.run("gpu picture 1");
            other.run("gpu picture 2");

            assertPicture(first, 1);
            assertPicture(second, 2);
            one.run("gpu draw 3 2");
            assertPicture(first, 3);
            assertPicture(second, 2);
        }
    }

    @Test
    void aProgramOfTheGuestQueuesCommandsAndTakesTheirMessage() throws Exception {
        var _ = device("vm1");
        try (QemuGuest guest =
                QemuGuest.boot(
                        folder, program, line("vm1"), "-device intel-iommu,caching-mode=on")) {
            guest.run("echo %s >/sys/bus/pci/drivers/bochs-drm/unbind".formatted(BDF));
            guest.run("echo vfio-pci >/sys/bus/pci/devices/%s/driver_override".formatted(BDF));
            guest.run("echo %s >/sys/bus/pci/drivers/vfio-pci/bind".formatted(BDF));

            assertThat(guest.run("gpu engine " + BDF))
                    .isEqualTo("interrupts=1 right=512 stored=4711 fence=4711 error=0");
        }
    }

    /// Each third time, the service first: it comes back with the device while the guest that had
    /// it still runs, or ends.
    @Test
    void eitherSideThatIsKilledAtAnyMomentLeavesTheDeviceForTheNextGuest() throws Exception {
        Random random = new Random(Long.getLong("mdev.seed", 1));
        UUID mdev = definedDevice("vm1");
        for (int i = 0; i < KILLS; i++) {
            Process qemu = QemuGuest.launch(program, line("vm1"), "", folder.resolve("qemu" + i));
            // Anywhere from its start to a guest that draws.
            qemu.waitFor(random.nextInt(6_000), TimeUnit.MILLISECONDS);
            if (i % 3 == 2) {
                service.kill();
                service = start(folder);
            }
            qemu.destroyForcibly().waitFor();
        }
        try (QemuGuest guest = boot("vm1")) {
            guest.run("gpu picture 9");
            assertPicture(mdev, 9);
        }
    }

    @Test
    void aGuestOutlivesTheServiceAndTheServiceStartsAgain() throws Exception {
        UUID mdev = device("vm1");
        try (QemuGuest guest = boot("vm1")) {
            // All that it draws on: a page that it has not touched before the end of the service is
            // an error, which ends QEMU.
            guest.run("gpu picture 4");
            assertPicture(mdev, 4);
            guest.run("gpu draw 5 1000000 &");
            service.kill();
            service = start(folder);
            assertThat(guest.process().isAlive()).isTrue();
        }
        assertThat(service.api().get("/actuator/health").status()).isEqualTo(200);
    }

    private UUID device(String machine) {
        return attached(machine, service.api().createMdev("gpu0", "gpu-sample-16m"));
    }

    /// One that the service starts again.
    private UUID definedDevice(String machine) {
        UUID mdev = UUID.randomUUID();
        service.api()
                .put(
                        "/api/v1/mdevs/" + mdev,
                        """
                        {"parent":"gpu0","type":"gpu-sample-16m","persist":true,"autostart":true}
                        """)
                .requireStatus(201);
        return attached(machine, mdev);
    }

    private UUID attached(String machine, UUID mdev) {
        service.api()
                .post(
                        "/api/v1/machines",
                        "{\"name\":\"%s\",\"kind\":\"external\"}".formatted(machine))
                .requireStatus(201);
        service.api()
                .put("/api/v1/machines/%s/devices/%s".formatted(machine, mdev), "")
                .requireStatus(201);
        return mdev;
    }

    /// What the service tells an operator to paste.
    private String line(String machine) {
        var response = service.api().bytes("/api/v1/machines/%s/qemu".formatted(machine));
        assertThat(response.statusCode()).isEqualTo(200);
        return new String(response.body(), UTF_8);
    }

    private QemuGuest boot(String machine) throws Exception {
        return QemuGuest.boot(folder, program, line(machine), "");
    }

    private long residentPages(UUID mdev) {
        return service.api().get("/api/v1/mdevs/" + mdev).numberAt("/residentPages");
    }

    private void revoke(UUID mdev) {
        service.api().post("/api/v1/mdevs/%s/revoke".formatted(mdev), "{}").requireStatus(200);
    }

    private void assertPicture(UUID mdev, int seed) throws IOException {
        GuestPicture.assertShown(service.api(), mdev, seed);
    }
}
