package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.UUID;

/// The machines of other programs outlive the service, with the devices that are defined.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
@Tag("slow")
@EnabledOnOs(value = OS.LINUX, disabledReason = "system calls of Linux")
class ExternalMachineReturnTest {
    private static final String MACHINE = "/api/v1/machines/vm1";
    private static final UUID DEFINED = UUID.fromString("d0000000-0000-4000-8000-000000000001");
    private static final UUID DETACHED = UUID.fromString("d0000000-0000-4000-8000-000000000002");
    private static final String SPEC =
            "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\",\"persist\":true,\"autostart\":true}";

    @TempDir Path folder;

    private ServiceProcess start() throws Exception {
        return ServiceProcess.start(folder, "--mdev.socket-dir=" + folder.resolve("sockets"));
    }

    private static void attach(Api api, UUID mdev) {
        api.put(MACHINE + "/devices/" + mdev, "").requireStatus(201);
    }

    @Test
    void definedDevicesAreOnTheirSocketsAgainAfterAKillAndAfterAnOrderlyEnd() throws Exception {
        Path socket;
        try (ServiceProcess service = start()) {
            Api api = service.api();
            api.put("/api/v1/mdevs/" + DEFINED, SPEC).requireStatus(201);
            api.post(
                            "/api/v1/machines",
                            "{\"name\":\"vm1\",\"kind\":\"external\",\"socket\":{\"mode\":\"0660\"},"
                                + "\"labels\":{\"rack\":\"7\"}}")
                    .requireStatus(201);
            api.post("/api/v1/machines", "{\"name\":\"vm2\",\"kind\":\"external\"}")
                    .requireStatus(201);
            attach(api, DEFINED);
            socket = Path.of(api.get(MACHINE).at("/devices/0/socket"));
            service.kill();
        }
        try (ServiceProcess service = start()) {
            Api api = service.api();
            Answer machine = assertDeviceIsThere(api, socket);
            assertThat(machine.at("/labels/rack")).isEqualTo("7");
            api.delete("/api/v1/machines/vm2").requireStatus(204);

            UUID transients = api.createMdev("gpu0", "gpu-sample-16m");
            attach(api, transients);
            service.stop();
        }
        try (ServiceProcess service = start()) {
            Api api = service.api();
            assertDeviceIsThere(api, socket);
            assertThat(api.namesOf("/api/v1/machines", "/name")).containsExactly("vm1");
            assertThat(api.namesOf("/api/v1/events", "/kind")).contains("mdev_attached");
            service.stop();
        }
    }

    private Answer assertDeviceIsThere(Api api, Path socket) throws IOException {
        Answer machine = api.get(MACHINE).requireStatus(200);
        assertThat(machine.at("/kind")).isEqualTo("external");
        assertThat(machine.body().at("/devices").size()).isEqualTo(1);
        assertThat(machine.at("/devices/0/mdev")).isEqualTo(DEFINED.toString());
        assertThat(machine.at("/devices/0/socket")).isEqualTo(socket.toString());
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(socket)))
                .isEqualTo("rw-rw----");
        try (SocketChannel client = SocketChannel.open(UnixDomainSocketAddress.of(socket))) {
            assertThat(client.isConnected()).isTrue();
        }
        return machine;
    }

    @Test
    void whatWasDetachedOrCannotComeBackIsNotThere() throws Exception {
        Path busy;
        try (ServiceProcess service = start()) {
            Api api = service.api();
            api.put("/api/v1/mdevs/" + DEFINED, SPEC).requireStatus(201);
            api.put("/api/v1/mdevs/" + DETACHED, SPEC).requireStatus(201);
            api.post("/api/v1/machines", "{\"name\":\"vm1\",\"kind\":\"external\"}")
                    .requireStatus(201);
            attach(api, DEFINED);
            attach(api, DETACHED);
            busy = Path.of(api.get(MACHINE).at("/devices/0/socket"));
            api.delete(MACHINE + "/devices/" + DETACHED).requireStatus(204);
            service.stop();
        }
        Files.createDirectory(busy);
        try (ServiceProcess service = start()) {
            Api api = service.api();
            assertThat(api.get(MACHINE).requireStatus(200).body().at("/devices").size()).isZero();
            assertThat(api.namesOf("/api/v1/events?kind=mdev_detached", "/detail"))
                    .anyMatch(it -> it.startsWith("machine=vm1 does not get it back: "));
            Files.delete(busy);
            attach(api, DEFINED);
            service.stop();
        }
    }
}
