package dev.mdev.core.sys;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

@EnabledOnOs(value = OS.LINUX, disabledReason = "sockets of Linux")
class UnixStreamTest {
    private final Syscalls sys = Syscalls.ofThisProcess();
    private final Arena arena = Arena.ofShared();
    private final MemorySegment memory = arena.allocate(1 << 20);

    @TempDir Path folder;
    private UnixListener listener;
    private UnixStream client;
    private UnixStream server;

    @BeforeEach
    void connect() {
        listener = UnixListener.bind(sys, folder.resolve("s"));
        listener.listen(1);
        client = UnixStream.connect(sys, listener.path());
        server = Objects.requireNonNull(listener.accept());
    }

    @AfterEach
    void close() {
        client.close();
        server.close();
        listener.close();
        arena.close();
    }

    private void send(UnixStream from, long value, NativeFd... fds) {
        memory.set(ValueLayout.JAVA_LONG, 0, value);
        from.send(memory.address(), Long.BYTES, 0, 0, List.of(fds));
    }

    private long receive(UnixStream at, long lengthBytes) {
        return at.receive(memory.address() + 64, lengthBytes, true);
    }

    @Test
    void bytesArriveAsTheyWereSent() {
        send(client, 0x1122334455667788L);

        assertThat(receive(server, 100)).isEqualTo(8);
        assertThat(memory.get(ValueLayout.JAVA_LONG, 64)).isEqualTo(0x1122334455667788L);
    }

    @Test
    void descriptorsArriveWithTheBytesThatBroughtThem() {
        send(client, 1);
        try (EventFd event = new EventFd(sys, "event");
                NativeFd file = sys.memfd("file", 4096)) {
            send(client, 2, event.fd(), file);
            send(client, 3);

            assertThat(receive(server, 8)).isEqualTo(8);
            assertThat(server.takeFds()).isEmpty();
            assertThat(receive(server, 8)).isEqualTo(8);
            List<NativeFd> fds = server.takeFds();
            assertThat(fds).hasSize(2);
            assertThat(receive(server, 8)).isEqualTo(8);
            assertThat(server.takeFds()).isEmpty();

            try (EventFd received = EventFd.adopt(sys, fds.getFirst())) {
                received.signal();
            }
            assertThat(event.take()).isEqualTo(1);
            assertThat(FileFacts.of(sys, fds.get(1)).inode())
                    .isEqualTo(FileFacts.of(sys, file).inode());
            fds.get(1).close();
        }
    }

    @Test
    void untakenDescriptorsAreClosedWithTheStream() throws IOException {
        try (NativeFd file = sys.memfd("untaken", 4096)) {
            send(client, 2, file, file);
        }
        receive(server, 8);
        assertThat(openDescriptors("untaken")).isEqualTo(2);

        server.close();

        assertThat(openDescriptors("untaken")).isZero();
    }

    /// This process's descriptors of a memfd with a name. Other tests may have left files and
    /// sockets that are closed at any time.
    private static long openDescriptors(String memfd) throws IOException {
        try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
            return open.filter(fd -> isMemfd(fd, memfd)).count();
        }
    }

    private static boolean isMemfd(Path fd, String memfd) {
        try {
            return Files.readSymbolicLink(fd).toString().startsWith("/memfd:" + memfd);
        } catch (IOException e) {
            return false;
        }
    }

    @Test
    void moreDescriptorsThanOneMessageHoldsAreRefused() {
        try (NativeFd file = sys.memfd("file", 4096)) {
            List<NativeFd> many = new ArrayList<>();
            for (int i = 0; i <= UnixStream.MAX_FDS; i++) {
                many.add(file);
            }
            assertThatExceptionOfType(MdevException.class)
                    .isThrownBy(() -> client.send(memory.address(), 8, 0, 0, many))
                    .matches(e -> e.errno() == Errno.EINVAL);
        }
    }

    @Test
    void aLongMessageArrivesWhole() {
        long half = memory.byteSize() / 2;
        CompletableFuture<Void> sender =
                CompletableFuture.runAsync(() ->
                        client.send(
                                memory.address(), half, memory.address() + half, half, List.of()));
        MemorySegment into = arena.allocate(memory.byteSize());
        long done = 0;
        while (done < into.byteSize()) {
            done += server.receive(into.address() + done, into.byteSize() - done, true);
        }
        sender.orTimeout(Deadlines.HANG_SECONDS, TimeUnit.SECONDS).join();
        assertThat(done).isEqualTo(2 * half);
    }

    @Test
    void anEmptyStreamIsFoundEmptyWithoutAWait() {
        assertThat(server.receive(memory.address(), 8, false)).isEqualTo(UnixStream.NOTHING);
    }

    @Test
    void theEndOfThePeerIsTheEndOfTheStream() {
        client.close();

        assertThat(receive(server, 8)).isZero();
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() -> send(server, 1))
                .matches(e -> e.errno() == Errno.EPIPE);
    }

    /// The kernel tells a thread that waits for room otherwise than one that comes later.
    @Test
    void thePeerThatLeavesWithoutReadingEndsTheSendAsOneThatIsGone() {
        FailingLibc libc = new FailingLibc(sys.libc());
        try (UnixStream waiting = UnixStream.connect(new Syscalls(libc.libc()), listener.path())) {
            libc.fail((call, _) -> call.equals("sendmsg") ? Errno.ECONNRESET.code() : 0);

            assertThatExceptionOfType(MdevException.class)
                    .isThrownBy(() -> send(waiting, 1))
                    .matches(e -> e.errno() == Errno.EPIPE);
        }
    }

    @Test
    void shuttingDownEndsTheWaitOfAnotherThread() {
        CompletableFuture<Long> waiting = CompletableFuture.supplyAsync(() -> receive(server, 8));

        server.shutDown();

        assertThat(waiting.orTimeout(Deadlines.HANG_SECONDS, TimeUnit.SECONDS).join()).isZero();
    }

    @Test
    void shuttingDownTheListenerEndsTheWaitForAConnection() {
        CompletableFuture<Boolean> waiting =
                CompletableFuture.supplyAsync(() -> listener.accept() == null);

        listener.shutDown();

        assertThat(waiting.orTimeout(Deadlines.HANG_SECONDS, TimeUnit.SECONDS).join()).isTrue();
    }

    @Test
    void thePeerIsKnown() {
        UnixStream.Peer peer = server.peer();

        assertThat(peer.pid()).isEqualTo(sys.libc().getpid());
    }

    @Test
    void aPeerThatReadsNothingEndsTheSend() {
        server.setSendTimeout(Duration.ofSeconds(1));

        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() -> server.send(memory.address(), 1 << 20, 0, 0, List.of()))
                .matches(e -> e.errno() == Errno.EAGAIN);
    }

    @Test
    void aPeerThatReadsNothingGetsAsMuchAsThereIsRoomFor() {
        long sent = server.sendInTime(memory.address(), 1 << 20, System.nanoTime());

        assertThat(sent).isBetween(1L, (1L << 20) - 1);
    }

    @Test
    void aPeerThatReadsGetsAllInTime() {
        CompletableFuture<Long> sent =
                CompletableFuture.supplyAsync(() ->
                        server.sendInTime(
                                memory.address(),
                                1 << 20,
                                System.nanoTime() + Deadlines.HANG.toNanos()));
        try (Arena own = Arena.ofConfined()) {
            MemorySegment got = own.allocate(1 << 20);
            long received = 0;
            while (received < 1 << 20) {
                received += client.receive(got.address(), (1 << 20) - received, true);
            }
        }

        assertThat(sent.join()).isEqualTo(1 << 20);
    }

    @Test
    void theFileOfAKilledProcessIsReplacedAndThatOfALivingOneIsNot() {
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() -> UnixListener.bind(sys, listener.path()))
                .matches(e -> e.errno() == Errno.EADDRINUSE);
        Path left = folder.resolve("left");
        UnixListener killed = UnixListener.bind(sys, left);
        killed.shutDown();

        try (UnixListener next = UnixListener.bind(sys, left)) {
            next.listen(1);
            UnixStream.connect(sys, left).close();
        }
        assertThat(Files.exists(left)).isFalse();
        killed.close();
    }

    @Test
    void whatIsNoEventfdIsRefusedAsOne() {
        try (NativeFd file = sys.memfd("file", 4096)) {
            assertThatExceptionOfType(MdevException.class)
                    .isThrownBy(() -> EventFd.adopt(sys, file))
                    .matches(e -> e.errno() == Errno.EINVAL);
        }
    }

    @Test
    void aPathThatNoAddressHoldsIsRefused() {
        Path path = folder.resolve("x".repeat(120));
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() -> UnixListener.bind(sys, path))
                .matches(e -> e.errno() == Errno.EINVAL);
    }
}
