package dev.mdev.vfiouser;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.core.sys.EventFd;
import dev.mdev.core.sys.FileAbi;
import dev.mdev.core.sys.Libc;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/// Base of tests with a device on a socket and a connected client.
@EnabledOnOs(value = OS.LINUX, disabledReason = "sockets of Linux")
abstract class ServerTest {
    static final int MEMORY = TestDriver.MEMORY_BAR;
    static final int REGISTERS = TestDriver.REGISTER_BAR;
    static final int ROM = 6;
    static final int CONFIG = 7;
    static final long RAM_BYTES = 1 << 20;

    /// The maximum of an event counter, unsigned (eventfd(2)).
    static final long FULL = -2;

    @TempDir Path folder;
    private final List<AutoCloseable> resources = new ArrayList<>();
    TestHost host;
    VfioUserClient client;

    @BeforeEach
    void connect() {
        host = new TestHost(folder);
        client = host.client();
    }

    /// Starts over with another host.
    void restart(SessionOptions options) {
        client.close();
        host.close();
        host = new TestHost(folder, options);
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

    /// Fills a counter, so that it can count nothing more.
    static void fill(EventFd event) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment most = arena.allocate(ValueLayout.JAVA_LONG);
            most.set(ValueLayout.JAVA_LONG, 0, FULL);
            Libc libc = Syscalls.ofThisProcess().libc();
            assertThat(libc.write(event.fd().number(), most.address(), Long.BYTES))
                    .isEqualTo(Long.BYTES);
        }
    }

    /// Fills a counter, and has those wait that count one more.
    static void fillAndBlock(EventFd event) {
        var _ =
                Syscalls.ofThisProcess()
                        .fcntl(event.fd(), FileAbi.F_SETFL, LinuxAbi.O_RDWR, "F_SETFL");
        fill(event);
    }

    /// Does something that must not hang.
    static void inAnotherThread(Runnable work) {
        var _ =
                CompletableFuture.runAsync(work, task -> Thread.ofPlatform().daemon().start(task))
                        .orTimeout(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)
                        .join();
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
