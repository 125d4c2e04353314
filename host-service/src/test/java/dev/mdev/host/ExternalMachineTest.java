package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.core.sys.Syscalls;
import dev.mdev.core.sys.UnixStream;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.test.annotation.DirtiesContext;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.context.DynamicPropertySource;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.UUID;

/// Machines that another program runs: their devices are on sockets.
///
/// The service mounts its files in the temporary folder, so it ends before the folder is deleted.
@DirtiesContext
@EnabledOnOs(value = OS.LINUX, disabledReason = "system calls of Linux")
class ExternalMachineTest extends HostTest {
    private static final String MACHINE = "/api/v1/machines/vm1";

    @TempDir static Path folder;

    @DynamicPropertySource
    static void properties(DynamicPropertyRegistry registry) {
        registry.add("mdev.socket-dir", () -> folder.resolve("sockets").toString());
    }

    private UUID attached() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        create("{\"name\":\"vm1\",\"kind\":\"external\"}").requireStatus(201);
        api.put(deviceOf(mdev), "").requireStatus(201);
        return mdev;
    }

    private Answer create(String json) {
        return api.post("/api/v1/machines", json);
    }

    private static String deviceOf(UUID mdev) {
        return MACHINE + "/devices/" + mdev;
    }

    @Test
    void anAttachedDeviceIsOnASocketForThisUser() throws IOException {
        UUID mdev = attached();

        Answer machine = api.get(MACHINE).requireStatus(200);
        Path socket = Path.of(machine.at("/devices/0/socket"));
        assertThat(machine.at("/kind")).isEqualTo("external");
        assertThat(machine.body().has("ramBytes")).isFalse();
        assertThat(socket).hasFileName(mdev + ".sock").hasParentRaw(folder.resolve("sockets"));
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(socket)))
                .isEqualTo("rw-------");
        assertThat(machine.body().at("/devices/0").has("connection")).isFalse();
        api.put(deviceOf(mdev), "").requireStatus(200);
        assertThat(api.get("/api/v1/mdevs/" + mdev).requireStatus(200).at("/machine"))
                .isEqualTo("vm1");
    }

    @Test
    void theModeOfTheSocketsIsTheMachines() throws IOException {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        create("{\"name\":\"vm1\",\"kind\":\"external\",\"socket\":{\"mode\":\"0660\"}}")
                .requireStatus(201);

        Answer device = api.put(deviceOf(mdev), "").requireStatus(201);

        Path socket = Path.of(device.at("/socket"));
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(socket)))
                .isEqualTo("rw-rw----");
    }

    @Test
    void theConnectedProgramIsShown() {
        attached();
        Answer before = api.get(MACHINE).requireStatus(200);
        try (Connection client = new Connection(Path.of(before.at("/devices/0/socket")))) {
            client.ask(1, client.version());
            assertThat(client.ask(4, new byte[] {16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}))
                    .isEqualTo(32);

            Answer machine = api.get(MACHINE).requireStatus(200);

            String connection = "/devices/0/connection";
            assertThat(machine.numberAt(connection + "/pid"))
                    .isEqualTo(ProcessHandle.current().pid());
            assertThat(machine.at(connection + "/version")).isEqualTo("0.0");
            assertThat(machine.numberAt(connection + "/requests/VERSION")).isEqualTo(1);
            assertThat(machine.numberAt(connection + "/requests/DEVICE_GET_INFO")).isEqualTo(1);
            assertThat(machine.numberAt(connection + "/dma/maps")).isZero();
            assertThat(machine.numberAt("/devices/0/residentPages")).isZero();

            client.ask(10, client.write(7, 4, 2, 6));
            client.ask(10, client.write(0, 0, 4, 1));
            client.ask(10, client.write(0, 8192, 4, 1));

            Answer touched = api.get(MACHINE).requireStatus(200);
            assertThat(touched.numberAt("/devices/0/residentPages")).isEqualTo(2);
            assertThat(touched.numberAt(connection + "/requests/REGION_WRITE")).isEqualTo(3);
        }
    }

    @Test
    void detachingEndsTheConnectionAndDeletesTheSocket() {
        UUID mdev = attached();
        Path socket = Path.of(api.get(MACHINE).at("/devices/0/socket"));
        try (Connection client = new Connection(socket)) {
            client.ask(1, client.version());

            api.delete(deviceOf(mdev)).requireStatus(204);

            assertThat(client.receive()).as("the stream has ended").isZero();
            assertThat(socket).doesNotExist();
            assertThatThrownBy(() -> new Connection(socket)).hasMessageContaining("connect");
        }
        assertThat(api.get("/api/v1/mdevs/" + mdev).body().has("machine")).isFalse();
        api.delete(deviceOf(mdev)).requireStatus(404);
    }

    @Test
    void theCommandOfQemuNamesTheSockets() {
        UUID mdev = attached();

        Answer command = api.get(MACHINE + "/qemu").requireStatus(200);

        assertThat(command.text())
                .contains("share=on", "\"driver\":\"vfio-user-pci\"", "/" + mdev + ".sock\"}}'");
    }

    @Test
    void whatAnExternalMachineDoesNotHaveIsRefused() {
        Answer ram = create("{\"name\":\"vm1\",\"kind\":\"external\",\"ramMib\":1,\"vcpus\":1}");
        assertThat(ram.requireStatus(422).body().toString()).contains("/ramMib", "/vcpus");
        Answer socket = create("{\"name\":\"vm1\",\"socket\":{\"mode\":\"0600\"}}");
        assertThat(socket.requireStatus(422).body().toString()).contains("/socket");
        create("{\"name\":\"vm1\",\"kind\":\"other\"}").requireStatus(422);
        create("{\"name\":\"vm1\",\"kind\":\"external\",\"socket\":{\"mode\":\"9999\"}}")
                .requireStatus(422);
        attached();
        api.run("vm1", "{\"steps\":[{\"op\":\"read\",\"at\":{\"gpa\":\"0x0\"},\"width\":4}]}")
                .requireStatus(409);
        create("{\"name\":\"vm1\"}").requireStatus(409);
        create("{\"name\":\"vm2\"}").requireStatus(201);
        api.get("/api/v1/machines/vm2/qemu").requireStatus(409);
        api.get("/api/v1/machines/vm3/qemu").requireStatus(404);
    }

    @Test
    void aDeletedMachineReleasesItsDevices() {
        UUID mdev = attached();
        assertThat(api.get("/api/v1/machines").body().at("/items/0/kind").asString())
                .isEqualTo("external");

        api.delete(MACHINE).requireStatus(204);

        api.get(MACHINE).requireStatus(404);
        api.createMachine("vm1", mdev);
    }

    /// A client's end.
    private static final class Connection implements AutoCloseable {
        private static final int ROOM = 4096;
        private static final int HEADER = 16;

        private final Arena arena = Arena.ofShared();
        private final MemorySegment memory = arena.allocate(ROOM);
        private final UnixStream stream;

        Connection(Path socket) {
            stream = UnixStream.connect(Syscalls.ofThisProcess(), socket);
        }

        byte[] version() {
            byte[] json = "{\"capabilities\":{}}\0".getBytes(StandardCharsets.UTF_8);
            return ByteBuffer.allocate(4 + json.length).putInt(0).put(json).array();
        }

        /// The body of a write to a region.
        byte[] write(int region, long offset, int count, int value) {
            return ByteBuffer.allocate(16 + count)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putLong(offset)
                    .putInt(region)
                    .putInt(count)
                    .put(
                            ByteBuffer.allocate(4)
                                    .order(ByteOrder.LITTLE_ENDIAN)
                                    .putInt(value)
                                    .array(),
                            0,
                            count)
                    .array();
        }

        /// @return bytes of the reply
        long ask(int command, byte[] body) {
            byte[] message =
                    ByteBuffer.allocate(HEADER + body.length)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .putShort((short) 1)
                            .putShort((short) command)
                            .putInt(HEADER + body.length)
                            .putLong(0)
                            .put(body)
                            .array();
            MemorySegment.copy(message, 0, memory, ValueLayout.JAVA_BYTE, 0, message.length);
            stream.send(memory.address(), message.length, 0, 0, List.of());
            return receive();
        }

        long receive() {
            return stream.receive(memory.address(), ROOM, true);
        }

        @Override
        public void close() {
            stream.close();
            arena.close();
        }
    }
}
