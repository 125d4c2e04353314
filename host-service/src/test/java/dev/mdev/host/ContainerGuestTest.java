package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.github.dockerjava.api.command.CreateContainerCmd;
import com.github.dockerjava.api.model.Bind;
import com.github.dockerjava.api.model.Capability;
import com.github.dockerjava.api.model.Device;

import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.wait.strategy.Wait;
import org.testcontainers.utility.DockerImageName;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/// The service in a container, and a QEMU outside that uses a device of it, through the folder of
/// sockets that both have, with the rights that the operator's guide names for BAR files.
@ExtendWith(TestImage.WhereImagesAreBuilt.class)
@EnabledIfEnvironmentVariable(
        named = QemuGuest.FOLDER,
        matches = ".+",
        disabledReason = QemuGuest.NO_FOLDER)
@Tag("slow")
class ContainerGuestTest {
    private static final String FUSE = "/dev/fuse";

    @TempDir Path temp;

    @Test
    void aQemuOutsideDrawsOnADeviceOfAServiceInAContainer() throws Exception {
        assumeTrue(
                Files.isWritable(Path.of(FUSE)) && "root".equals(System.getProperty("user.name")),
                "no root or no /dev/fuse");
        TestImage.build();
        Path program = QemuGuest.compile(temp);
        Path sockets = Files.createDirectory(temp.resolve("sockets"));
        try (SharedMount _ = new SharedMount(sockets);
                GenericContainer<?> container = service(sockets)) {
            container.start();
            URI root =
                    URI.create(
                            "http://%s:%d"
                                    .formatted(container.getHost(), container.getMappedPort(8080)));
            try (Api api = new Api(root)) {
                UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
                api.post("/api/v1/machines", "{\"name\":\"vm1\",\"kind\":\"external\"}")
                        .requireStatus(201);
                api.put("/api/v1/machines/vm1/devices/" + mdev, "").requireStatus(201);
                String line = new String(api.bytes("/api/v1/machines/vm1/qemu").body(), UTF_8);
                try (QemuGuest guest = QemuGuest.boot(temp, program, line, "")) {
                    guest.run("gpu picture 7");
                    GuestPicture.assertShown(api, mdev, 7);
                    // Pages that the guest has mapped: without BAR files there would be none.
                    assertThat(api.get("/api/v1/mdevs/" + mdev).numberAt("/residentPages"))
                            .isBetween(768L, 900L);
                }
                api.removeEverything();
            }
            // Not killed, so that it unmounts its files.
            container
                    .getDockerClient()
                    .stopContainerCmd(container.getContainerId())
                    .withTimeout((int) Deadlines.HANG_SECONDS)
                    .exec();
        }
    }

    private static GenericContainer<?> service(Path sockets) {
        return new GenericContainer<>(DockerImageName.parse(TestImage.NAME))
                .withImagePullPolicy(_ -> false)
                .withExposedPorts(8080)
                .withTmpFs(Map.of("/tmp", "rw,noexec,nosuid"))
                .withCommand("--mdev.socket-dir=" + sockets, "--mdev.driver-deadline=60s")
                .withCreateContainerCmdModifier(command -> allowBarFiles(command, sockets))
                .waitingFor(Wait.forHealthcheck().withStartupTimeout(Deadlines.HANG));
    }

    private static void allowBarFiles(CreateContainerCmd command, Path sockets) {
        var host = command.withUser("0").getHostConfig();
        if (host == null) {
            throw new IllegalStateException("no host configuration to restrict");
        }
        host.withReadonlyRootfs(true)
                .withCapDrop(Capability.ALL)
                .withCapAdd(
                        Capability.SYS_ADMIN,
                        Capability.CHOWN,
                        Capability.DAC_OVERRIDE,
                        Capability.FOWNER)
                .withSecurityOpts(List.of("no-new-privileges", "apparmor=unconfined"))
                .withDevices(new Device("rwm", FUSE, FUSE))
                .withBinds(Bind.parse("%1$s:%1$s:rshared".formatted(sockets)));
    }

    /// A folder whose mounts in a container are seen outside.
    private record SharedMount(Path folder) implements AutoCloseable {
        SharedMount {
            run("mount", "--bind", folder.toString(), folder.toString());
            run("mount", "--make-rshared", folder.toString());
        }

        private static void run(String... command) {
            try {
                Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
                String said = new String(process.getInputStream().readAllBytes(), UTF_8);
                assertThat(process.waitFor()).as("%s: %s", command[0], said).isZero();
            } catch (IOException e) {
                throw new AssertionError(e);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new AssertionError(e);
            }
        }

        @Override
        public void close() {
            run("umount", "--recursive", folder.toString());
        }
    }
}
