package dev.mdev.vfiouser;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;

/// Guest memory as the client maps it and the device reaches it.
class DmaTest extends ServerTest {
    private static final int READ = 1;
    private static final int READ_WRITE = 3;

    @Test
    void theDeviceReachesMappedMemory() {
        client.enable();
        TestHost.GuestRam ram = ram();
        assertDone(client.map(0x10000, RAM_BYTES, READ_WRITE, 0, ram.fd));
        ram.memory.set(ValueLayout.JAVA_LONG, 8, 42);

        assertThat(deviceReads(0x10008)).isEqualTo(42);
        deviceWrites(0x10010, 43);

        assertThat(ram.memory.get(ValueLayout.JAVA_LONG, 16)).isEqualTo(43);
    }

    @Test
    void partsOfOneFileAreMappedInAnyOrder() {
        client.enable();
        TestHost.GuestRam ram = ram();
        assertDone(client.map(0x100000, 0x10000, READ_WRITE, 0x80000, ram.fd));
        assertDone(client.map(0, 0x10000, READ_WRITE, 0, ram.fd));
        assertDone(client.map(0x10000, 0x10000, READ_WRITE, 0x40000, ram.fd));
        deviceWrites(0x100000, 1);
        deviceWrites(0x10000 - 8, 2);
        deviceWrites(0x10000, 3);

        assertThat(ram.memory.get(ValueLayout.JAVA_LONG, 0x80000)).isEqualTo(1);
        assertThat(ram.memory.get(ValueLayout.JAVA_LONG, 0x10000 - 8)).isEqualTo(2);
        assertThat(ram.memory.get(ValueLayout.JAVA_LONG, 0x40000)).isEqualTo(3);
        MemorySegment across = MemorySegment.ofArray(new long[2]);
        host.device().memory().read(0x10000 - 8, across);
        assertThat(across.get(ValueLayout.JAVA_LONG, 8)).isEqualTo(3);
    }

    @Test
    void withoutBusMasteringNothingIsReached() {
        assertDone(client.map(0, RAM_BYTES, READ_WRITE, 0, ram().fd));

        assertErrno(Errno.ENODEV, () -> deviceReads(0));
    }

    private static void assertErrno(Errno errno, Runnable call) {
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(call::run)
                .matches(e -> e.errno() == errno);
    }

    @Test
    void whatIsMappedForReadingIsNotWritten() {
        client.enable();
        assertDone(client.map(0, RAM_BYTES, READ, 0, ram().fd));

        assertThat(deviceReads(0)).isZero();
        assertErrno(Errno.EFAULT, () -> deviceWrites(0, 1));
        assertErrno(Errno.EPERM, () -> host.device().memory().pin(0, 1, Access.WRITE).close());
    }

    @Test
    void rangesAreUnmappedExactly() {
        client.enable();
        TestHost.GuestRam ram = ram();
        assertDone(client.map(0x1000, 0x4000, READ_WRITE, 0, ram.fd));

        assertFails(client.unmap(0x1000, 0x2000, 0), Errno.ENOENT);
        assertFails(client.unmap(0x2000, 0x4000, 0), Errno.ENOENT);
        VfioUserClient.Message reply = client.unmap(0x1000, 0x4000, 0);

        assertThat(reply.body()).isEqualTo(body().u32(24, 0).u64(0x1000, 0x4000).done());
        assertErrno(Errno.EFAULT, () -> deviceReads(0x1000));
        assertFails(client.unmap(0x1000, 0x4000, 0), Errno.ENOENT);
        assertDone(client.map(0x1000, 0x4000, READ_WRITE, 0, ram.fd));
    }

    @Test
    void everythingIsUnmappedAtOnce() {
        client.enable();
        TestHost.GuestRam ram = ram();
        assertDone(client.map(0, 0x1000, READ_WRITE, 0, ram.fd));
        assertDone(client.map(0x8000, 0x1000, READ, 0));
        assertFails(client.unmap(0x1000, 0x1000, 2), Errno.EINVAL);
        assertFails(client.unmap(0, 0, 1), Errno.EINVAL);
        assertFails(client.unmap(0, 0, 3), Errno.EINVAL);
        assertFails(client.unmap(0, 0x1000, 4), Errno.EINVAL);
        assertFails(client.ask(3, body().u32(8, 0).u64(0, 0x1000).done()), Errno.EINVAL);

        assertDone(client.unmap(0, 0, 2));

        assertErrno(Errno.EFAULT, () -> deviceReads(0));
        assertThat(host.socket.connection().orElseThrow().dmaMaps()).isZero();
        assertDone(client.unmap(0, 0, 2));
    }

    @Test
    void overlappingAndMalformedMapsAreRefused() {
        TestHost.GuestRam ram = ram();
        assertDone(client.map(0x10000, 0x10000, READ_WRITE, 0, ram.fd));
        assertFails(client.map(0x10000, 0x10000, READ_WRITE, 0, ram.fd), Errno.EEXIST);
        assertFails(client.map(0xf000, 0x2000, READ_WRITE, 0, ram.fd), Errno.EEXIST);
        assertFails(client.map(0x1f000, 0x2000, READ_WRITE, 0), Errno.EEXIST);
        assertFails(client.map(0, 0x40000, READ_WRITE, 0, ram.fd), Errno.EEXIST);
        assertFails(client.map(0, 0, READ_WRITE, 0, ram.fd), Errno.EINVAL);
        assertFails(client.map(0, 0x1001, READ_WRITE, 0, ram.fd), Errno.EINVAL);
        assertFails(client.map(1, 0x1000, READ_WRITE, 0, ram.fd), Errno.EINVAL);
        assertFails(client.map(0, 0x1000, READ_WRITE, 1, ram.fd), Errno.EINVAL);
        assertFails(client.map(0, 0x1000, 0, 0, ram.fd), Errno.EINVAL);
        assertFails(client.map(0, 0x1000, 16, 0, ram.fd), Errno.EINVAL);
        assertFails(client.map(0, 0x1000, READ_WRITE, 0, ram.fd, ram.fd), Errno.EINVAL);
        assertFails(client.map(-0x1000, 0x1000, READ_WRITE, 0, ram.fd), Errno.EINVAL);
        assertFails(client.map(1L << 51, 1L << 52, READ_WRITE, 0), Errno.EINVAL);
        assertFails(client.map(0x1000, -0x1000, READ_WRITE, 0), Errno.EINVAL);
        assertFails(client.map(0, 0x1000, READ_WRITE, RAM_BYTES, ram.fd), Errno.EINVAL);
        assertFails(client.map(0, 0x1000, READ_WRITE, -0x1000, ram.fd), Errno.EINVAL);
        assertFails(client.map(0x100000, 2 * RAM_BYTES, READ_WRITE, 0, ram.fd), Errno.EINVAL);
        assertFails(client.map(0x100000, 1L << 41, READ_WRITE, 0), Errno.ENOSPC);
        assertFails(client.ask(2, body().u32(32, 3).u64(0, 0).done()), Errno.EINVAL);
        assertFails(client.ask(3, body().u32(24, 0).u64(0).done()), Errno.EINVAL);
        assertThat(host.socket.connection().orElseThrow().dmaMaps()).isEqualTo(1);
    }

    @Test
    void whatIsNoMemoryIsRefused() throws IOException {
        Syscalls sys = Syscalls.ofThisProcess();
        try (NativeFd event = sys.eventfd("event");
                NativeFd device = sys.open("/dev/zero", LinuxAbi.O_RDWR);
                NativeFd directory = sys.open("/tmp", 0);
                NativeFd process = sys.open("/proc/self/maps", 0)) {
            for (NativeFd fd : new NativeFd[] {event, device, directory, process}) {
                assertFails(client.map(0, 0x1000, READ, 0, fd), Errno.EINVAL);
            }
        }
        Path file = Files.write(folder.resolve("file"), new byte[8192]);
        try (NativeFd readOnly = sys.open(file.toString(), 0)) {
            assertFails(client.map(0, 0x1000, READ_WRITE, 0, readOnly), Errno.EINVAL);
            assertDone(client.map(0, 0x1000, READ, 0, readOnly));
        }
    }

    @Test
    void anOrdinaryFileIsReadAndWrittenByCalls() throws IOException {
        client.enable();
        Path file = Files.write(folder.resolve("file"), new byte[8192]);
        try (NativeFd fd = Syscalls.ofThisProcess().open(file.toString(), LinuxAbi.O_RDWR)) {
            assertDone(client.map(0x1000, 0x2000, READ_WRITE, 0, fd));
        }

        deviceWrites(0x2008, 0x0807060504030201L);

        assertThat(Files.readAllBytes(file)[0x1008 + 7]).isEqualTo((byte) 8);
        assertThat(deviceReads(0x2008)).isEqualTo(0x0807060504030201L);
        try (GuestMemory.Pin pin = host.device().memory().pin(0x2000, 1, Access.READ)) {
            MemorySegment value = MemorySegment.ofArray(new long[1]);
            pin.read(8, value);
            assertThat(value.get(ValueLayout.JAVA_LONG, 0)).isEqualTo(0x0807060504030201L);
        }
    }

    @Test
    void aFileThatShrinksFailsTheAccessAndNothingElse() {
        client.enable();
        try (NativeFd fd = TestHost.GuestRam.memfd(0x4000, false)) {
            assertDone(client.map(0, 0x4000, READ_WRITE, 0, fd));
            deviceWrites(0x3000, 1);

            assertThat(Syscalls.ofThisProcess().libc().ftruncate(fd.number(), 0)).isZero();

            assertErrno(Errno.EFAULT, () -> deviceReads(0x3000));
            assertThat(client.readNumber(CONFIG, 0, 2)).isEqualTo(0x1234);
        }
    }

    @Test
    void aSealedFileCannotShrinkUnderTheDevice() {
        client.enable();
        TestHost.GuestRam ram = ram();
        assertDone(client.map(0, RAM_BYTES, READ_WRITE, 0, ram.fd));

        assertThat(Syscalls.ofThisProcess().libc().ftruncate(ram.fd.number(), 0)).isNegative();

        assertThat(deviceReads(RAM_BYTES - 8)).isZero();
    }

    @Test
    void thePinsOfAnUnmappedRangeAreReleasedFirst() {
        client.enable();
        assertDone(client.map(0, RAM_BYTES, READ_WRITE, 0, ram().fd));
        AtomicReference<GuestMemory.Pin> pin =
                new AtomicReference<>(host.device().memory().pin(0x1000, 2, Access.WRITE));

        assertDone(client.unmap(0, RAM_BYTES, 0));

        assertThat(host.device().events).contains("dmaUnmapped 0+100000");
        assertErrno(Errno.ENODEV, () -> pin.get().read(0, MemorySegment.ofArray(new long[1])));
        assertErrno(Errno.EFAULT, () -> host.device().memory().pin(0, 1, Access.READ).close());
    }

    private CompletableFuture<Long> readsInAnotherThread(long iova) {
        return CompletableFuture.supplyAsync(
                () -> deviceReads(iova), task -> Thread.ofPlatform().daemon().start(task));
    }

    @Test
    void memoryWithoutAFileIsReadByMessages() {
        client.enable();
        assertDone(client.map(0x5000, 0x1000, READ_WRITE, 0));
        CompletableFuture<Long> value = readsInAnotherThread(0x5010);

        VfioUserClient.Message request = Objects.requireNonNull(client.receive());

        assertThat(request.command()).isEqualTo(11);
        assertThat(request.flags()).isZero();
        assertThat(request.body()).isEqualTo(body().u64(0x5010, 8).done());
        client.send(request.id(), 11, VfioUserClient.REPLY, body().u64(0x5010, 8, 77).done());
        assertThat(value.orTimeout(Deadlines.HANG_SECONDS, TimeUnit.SECONDS).join()).isEqualTo(77);
    }

    @Test
    void memoryWithoutAFileIsReadIntoABufferThatOneThreadMayUse() {
        client.enable();
        assertDone(client.map(0x5000, 0x1000, READ_WRITE, 0));
        CompletableFuture<Long> value =
                CompletableFuture.supplyAsync(
                        () -> {
                            try (Arena own = Arena.ofConfined()) {
                                MemorySegment buffer = own.allocate(ValueLayout.JAVA_LONG);
                                host.device().memory().read(0x5010, buffer);
                                return buffer.get(ValueLayout.JAVA_LONG, 0);
                            }
                        },
                        task -> Thread.ofPlatform().daemon().start(task));

        VfioUserClient.Message request = Objects.requireNonNull(client.receive());
        client.send(request.id(), 11, VfioUserClient.REPLY, body().u64(0x5010, 8, 77).done());

        assertThat(value.orTimeout(Deadlines.HANG_SECONDS, TimeUnit.SECONDS).join()).isEqualTo(77);
        assertThat(client.readNumber(CONFIG, 0, 2)).isEqualTo(0x1234);
    }

    @Test
    void memoryWithoutAFileIsWrittenByMessagesOfBoundedSize() {
        client.enable();
        assertDone(client.map(0, 0x100000, READ_WRITE, 0));
        CompletableFuture<Void> written =
                CompletableFuture.runAsync(
                        () ->
                                host.device()
                                        .memory()
                                        .write(0x100, MemorySegment.ofArray(new byte[100_000])),
                        task -> Thread.ofPlatform().daemon().start(task));
        long done = 0;
        while (done < 100_000) {
            VfioUserClient.Message request = Objects.requireNonNull(client.receive());
            assertThat(request.command()).isEqualTo(12);
            assertThat(request.buffer().getLong(0)).isEqualTo(0x100 + done);
            long count = request.buffer().getLong(8);
            assertThat(count).isBetween(1L, 65536L);
            assertThat(request.body()).hasSize((int) (16 + count));
            client.send(
                    request.id(), 12, VfioUserClient.REPLY, body().u64(0x100 + done, count).done());
            done += count;
        }
        written.orTimeout(Deadlines.HANG_SECONDS, TimeUnit.SECONDS).join();
    }

    @Test
    void aClientThatRefusesAMessageFailsTheAccess() {
        client.enable();
        assertDone(client.map(0x5000, 0x1000, READ_WRITE, 0));
        CompletableFuture<Long> value = readsInAnotherThread(0x5010);
        VfioUserClient.Message request = Objects.requireNonNull(client.receive());

        client.send(request.id(), 11, VfioUserClient.REPLY | VfioUserClient.ERROR, new byte[0]);

        assertThat(value.handle((_, failure) -> failure != null).join()).isTrue();
        assertThat(client.readNumber(CONFIG, 0, 2)).isEqualTo(0x1234);
    }

    @Test
    void aClientThatReadsNothingFailsTheAccessInTime() {
        SessionOptions usual = SessionOptions.DEFAULT;
        restart(
                new SessionOptions(
                        usual.limits(),
                        usual.spin(),
                        usual.accessTimeout(),
                        usual.replyTimeout(),
                        Deadlines.HANG,
                        Duration.ofMillis(300),
                        usual.releaseGrace()));
        client.enable();
        assertDone(client.map(0x5000, 0x1000, READ_WRITE, 0));
        // Its replies fill the socket, until one of them waits.
        byte[] read = body().u64(0).u32(MEMORY, 8192).done();
        for (int i = 0; i < 200; i++) {
            client.send(i, 9, VfioUserClient.COMMAND, read);
        }

        // At the second access at the latest, a reply waits.
        for (int i = 0; i < 2; i++) {
            CompletableFuture<Boolean> fails =
                    readsInAnotherThread(0x5010)
                            .handle((_, failure) -> failure.getCause() instanceof MdevException);
            assertThat(fails.orTimeout(Deadlines.HANG_SECONDS, TimeUnit.SECONDS).join()).isTrue();
        }
        assertThat(host.socket.connection()).as("it still waits").isPresent();
    }

    @Test
    void aClientThatLeavesFailsTheAccessAtOnce() {
        client.enable();
        assertDone(client.map(0x5000, 0x1000, READ_WRITE, 0));
        CompletableFuture<Long> value = readsInAnotherThread(0x5010);
        assertThat(client.receive()).isNotNull();

        client.close();

        assertThat(value.handle((_, failure) -> failure != null).join()).isTrue();
        client = host.client();
    }

    @Test
    void messagesAreNotSentInsideARegisterAccess() {
        client.enable();
        assertDone(client.map(0x5000, 0x1000, READ_WRITE, 0));
        host.device().whenWritten = () -> deviceReads(0x5000);

        assertThat(client.write(REGISTERS, 0, 4, 1).errno()).isNotZero();

        assertThat(client.readNumber(CONFIG, 0, 2)).isEqualTo(0x1234);
    }
}
