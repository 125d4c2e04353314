package dev.mdev.vfiouser;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.core.sys.EventFd;
import dev.mdev.core.sys.Syscalls;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// Base of tests with a device on a socket and a connected client.
@EnabledOnOs(value = OS.LINUX, disabledReason = "sockets of Linux")
abstract class ServerTest {
    static final int MEMORY = TestDriver.MEMORY_BAR;
    static final int REGISTERS = TestDriver.REGISTER_BAR;
    static final int ROM = 6;
    static final int CONFIG = 7;
    static final long RAM_BYTES = 1 << 20;

    @TempDir Path folder;
    private final List<AutoCloseable> resources = new ArrayList<>();
    TestHost host;
    VfioUserClient client;

    @BeforeEach
    void connect() {
        host = new TestHost(folder);
        client = host.client();
    }

    @AfterEach
    void disconnect() throws Exception {
        client.close();
        host.close();
        for (AutoCloseable resource : resources) {
            resource.close();
        }
    }

    <T extends AutoCloseable> T kept(T resource) {
        resources.add(resource);
        return resource;
    }

    TestHost.GuestRam ram() {
        return kept(new TestHost.GuestRam(RAM_BYTES));
    }

    EventFd event() {
        return kept(new EventFd(Syscalls.ofThisProcess(), "event"));
    }

    static VfioUserClient.Body body() {
        return VfioUserClient.body();
    }

    static void assertDone(VfioUserClient.Message reply) {
        assertThat(reply.errno()).as("errno of command %d", reply.command()).isZero();
    }

    static void assertFails(VfioUserClient.Message reply, Errno errno) {
        assertThat(Errno.of(reply.errno())).as("command %d", reply.command()).contains(errno);
        assertThat(reply.body()).as("an error has no body").isEmpty();
    }

    long deviceReads(long iova) {
        MemorySegment value = MemorySegment.ofArray(new long[1]);
        host.device().memory().read(iova, value);
        return value.get(ValueLayout.JAVA_LONG, 0);
    }

    void deviceWrites(long iova, long value) {
        host.device().memory().write(iova, MemorySegment.ofArray(new long[] {value}));
    }
}
