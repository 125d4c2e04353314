package dev.mdev.vfiouser;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.core.sys.EventFd;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;

/// Clients that send anything, leave at any moment, or do nothing: the device serves the next.
class HostileClientTest extends ServerTest {
    /// The next client gets the device, as after a reset.
    private void assertNextClientIsServed() {
        client.close();
        client = host.client();
        assertThat(client.readNumber(CONFIG, 0, 4)).isEqualTo(0x11e91234);
        assertThat(client.readNumber(CONFIG, 4, 2)).as("decoding and mastering").isZero();
        client.enable();
        assertThat(client.readNumber(REGISTERS, 8, 4)).isZero();
        assertThat(host.socket.connection().orElseThrow().dmaMaps()).isZero();
        assertThatExceptionOfType(MdevException.class).isThrownBy(() -> deviceReads(0));
    }

    @Test
    void randomBytesEndTheConnectionAndNothingElse() {
        Random random = new Random(1);
        for (int round = 0; round < 50; round++) {
            byte[] noise = new byte[random.nextInt(1, 300)];
            random.nextBytes(noise);
            try {
                client.sendRaw(noise);
            } catch (MdevException e) {
                assertThat(e.errno()).isEqualTo(Errno.EPIPE);
            }
            client.close();
            client = host.client();
        }
        assertNextClientIsServed();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 15, -1, Integer.MIN_VALUE, (1 << 20) + 33})
    void aHeaderOfAnImpossibleSizeEndsTheConnection(int size) {
        client.sendRaw(body().u16(1, 4).u32(size, 0, 0).done());

        assertThat(client.receive()).isNull();
        assertNextClientIsServed();
    }

    @Test
    void aMessageOfNoTypeEndsTheConnection() {
        client.send(1, 4, 2, new byte[16]);

        assertThat(client.receive()).isNull();
        assertNextClientIsServed();
    }

    @Test
    void theLongestMessageIsServed() {
        client.enable();
        byte[] most = new byte[1 << 20];
        assertFails(
                client.ask(10, body().u64(0).u32(MEMORY, 1 << 20).bytes(most).done()),
                Errno.EINVAL);
        assertThat(client.readNumber(CONFIG, 0, 2)).isEqualTo(0x1234);
    }

    @Test
    void aMessageThatComesByteByByteIsServed() {
        byte[] message = VfioUserClient.message(5, 9, 0, body().u64(0).u32(CONFIG, 4).done());
        for (byte one : message) {
            client.sendRaw(new byte[] {one});
        }

        assertThat(client.receive()).isNotNull();
    }

    @Test
    void aSecondClientIsRefusedAtOnce() {
        try (VfioUserClient second = new VfioUserClient(host.socket.path())) {
            assertThat(second.receive()).isNull();
        }
        assertThat(host.socket.refused()).isEqualTo(1);
        assertThat(client.readNumber(CONFIG, 0, 2)).isEqualTo(0x1234);
    }

    @Test
    void aClientThatFollowsAnotherAtOnceIsServed() {
        for (int i = 0; i < 30; i++) {
            client.close();
            client = host.client();
        }
        assertThat(host.socket.refused()).isZero();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 7, 8, 9, 10, 13, 15, 16, 17, 18})
    void aClientVanishesInTheMiddleOfEachRequest(int command) {
        client.enable();
        TestHost.GuestRam ram = ram();
        EventFd event = event();
        assertDone(client.map(0, RAM_BYTES, 3, 0, ram.fd));
        assertDone(client.setIrqs(0x24, 2, 0, 1, event.fd()));
        byte[] message = VfioUserClient.message(3, command, 0, body().u64(0, 0, 0, 0).done());
        client.sendRaw(java.util.Arrays.copyOf(message, 20), ram.fd);

        assertNextClientIsServed();
    }

    @Test
    void aClientVanishesWithManyRequestsInFlight() {
        client.enable();
        TestHost.GuestRam ram = ram();
        for (int i = 0; i < 200; i++) {
            byte[] map = body().u32(32, 3).u64(0, 4096L * i, 4096).done();
            client.send(i, 2, 0, map, ram.fd);
        }

        assertNextClientIsServed();
    }

    @Test
    void aClientVanishesBeforeItsVersion() {
        client.close();
        for (int i = 0; i < 5; i++) {
            new VfioUserClient(host.socket.path()).close();
        }
        assertNextClientIsServed();
    }

    @Test
    void aClientWithoutAVersionIsSentAway() {
        client.close();
        host.close();
        host = new TestHost(folder, quick());

        try (VfioUserClient silent = new VfioUserClient(host.socket.path())) {
            assertThat(silent.receive()).as("the server closes").isNull();
        }
        client = host.client();
    }

    /// Waits shorter than usual, and longer than a good client on a busy machine needs.
    private static SessionOptions quick() {
        Duration soon = Duration.ofSeconds(3);
        return new SessionOptions(
                DmaLimits.DEFAULT, Duration.ZERO, soon, soon, Deadlines.HANG, soon, Duration.ZERO);
    }

    @Test
    void aRequestThatADriverHoldsGetsAnErrorInTime() throws InterruptedException {
        restart(quick());
        client.enable();
        CountDownLatch held = new CountDownLatch(1);
        host.device().whenWritten = () -> Deadlines.await(held);
        try {
            assertFails(client.write(REGISTERS, 0, 4, 1), Errno.ETIMEDOUT);
        } finally {
            held.countDown();
        }
        assertThat(client.readNumber(CONFIG, 0, 2)).as("no late reply").isEqualTo(0x1234);
    }

    @Test
    void tenThousandMapsAreServedAndReleased() throws IOException {
        SessionOptions usual = SessionOptions.DEFAULT;
        // The removal of all maps takes seconds on a busy machine.
        restart(
                new SessionOptions(
                        usual.limits(),
                        usual.spin(),
                        usual.accessTimeout(),
                        Deadlines.HANG,
                        usual.sendTimeout(),
                        usual.dmaTimeout(),
                        usual.releaseGrace()));
        client.enable();
        TestHost.GuestRam ram = ram();
        long mappings = mappings();
        for (int i = 0; i < 10_000; i++) {
            long offset = i % 256 * 4096L;
            assertDone(client.map(i * 8192L, 4096, 3, offset, ram.fd));
        }
        assertThat(mappings() - mappings).as("mappings of the process").isLessThan(100);
        deviceWrites(9_999 * 8192L, 7);
        assertDone(client.unmap(0, 0, 2));
        assertDone(client.map(0, RAM_BYTES, 3, 0, ram.fd));

        assertNextClientIsServed();
    }

    private static long mappings() throws IOException {
        try (Stream<String> lines = Files.lines(Path.of("/proc/self/maps"))) {
            return lines.count();
        }
    }

    @Test
    void moreMapsThanAllowedAreRefused() {
        DmaLimits few = new DmaLimits(3, 2 * RAM_BYTES, 2, 1);
        SessionOptions usual = TestHost.PATIENT;
        restart(
                new SessionOptions(
                        few,
                        usual.spin(),
                        usual.accessTimeout(),
                        usual.replyTimeout(),
                        usual.sendTimeout(),
                        usual.dmaTimeout(),
                        usual.releaseGrace()));
        client.enable();
        assertDone(client.map(0, 4096, 3, 0, ram().fd));
        assertDone(client.map(4096, 4096, 3, 0, ram().fd));
        assertFails(client.map(8192, 4096, 3, 0, ram().fd), Errno.ENOSPC);
        assertFails(client.map(8192, 2 * RAM_BYTES, 3, 0), Errno.ENOSPC);
        assertDone(client.map(8192, 4096, 3, 0));
        assertFails(client.map(12288, 4096, 3, 0), Errno.ENOSPC);
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() -> host.device().memory().pin(0, 2, Access.READ).close())
                .matches(e -> e.errno() == Errno.ENOMEM);
    }

    @Test
    void aFileIsMappedOnlyIfItsWholeSizeIsAllowed() {
        try (NativeFd huge = TestHost.sealed(DmaLimits.DEFAULT.bytes() + RAM_BYTES);
                NativeFd large = TestHost.sealed(DmaLimits.DEFAULT.bytes() - RAM_BYTES)) {
            assertFails(client.map(0, 4096, 3, 0, huge), Errno.ENOSPC);
            assertDone(client.map(0, 4096, 3, 0, large));
            assertDone(client.map(4096, 4096, 3, 0, ram().fd));
            assertFails(client.map(8192, 4096, 3, 0, ram().fd), Errno.ENOSPC);
            assertDone(client.unmap(0, 4096, 0));
            assertDone(client.map(8192, 4096, 3, 0, ram().fd));
        }
    }

    @Test
    void nothingOfAClientIsLeft() throws IOException {
        client.close();
        client = host.client();
        long descriptors = descriptors();
        for (int round = 0; round < 20; round++) {
            client.enable();
            try (TestHost.GuestRam ram = new TestHost.GuestRam(RAM_BYTES);
                    NativeFd file = TestHost.GuestRam.memfd(4096, false);
                    NativeFd event = Syscalls.ofThisProcess().eventfd("event")) {
                assertDone(client.map(0, RAM_BYTES, 3, 0, ram.fd));
                assertDone(client.map(RAM_BYTES, 4096, 3, 0, file));
                assertDone(client.setIrqs(0x24, 2, 0, 2, event, event));
                assertDone(client.setIrqs(0x24, 4, 0, 1, event));
                assertFails(client.map(0, 4096, 3, 0, file), Errno.EEXIST);
                assertFails(client.ask(4, new byte[4], file, event), Errno.EINVAL);
                GuestMemory.Pin _ = host.device().memory().pin(0, 4, Access.WRITE);
            }
            client.close();
            client = host.client();
        }
        assertThat(descriptors()).isEqualTo(descriptors);
    }

    private static long descriptors() throws IOException {
        try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
            return open.filter(HostileClientTest::isOurs).count();
        }
    }

    private static boolean isOurs(Path fd) {
        try {
            String link = Files.readSymbolicLink(fd).toString();
            return link.startsWith("/memfd")
                    || link.contains("eventfd")
                    || link.startsWith("socket");
        } catch (IOException e) {
            // The folder's own.
            return false;
        }
    }

    @Test
    void descriptorsThatBelongNowhereAreClosed() throws IOException {
        long descriptors = descriptors();
        try (NativeFd file = TestHost.GuestRam.memfd(4096, true)) {
            NativeFd[] many = new NativeFd[60];
            java.util.Arrays.fill(many, file);
            for (int i = 0; i < 50; i++) {
                client.send(1, 4, VfioUserClient.NO_REPLY, body().u32(16, 0, 0, 0).done(), many);
            }
            assertThat(client.readNumber(CONFIG, 0, 2)).isEqualTo(0x1234);
        }
        assertThat(descriptors()).isEqualTo(descriptors);
    }

    @Test
    void descriptorsInTheMiddleOfAMessageAreClosedAtOnce() throws IOException {
        // More than a socket's buffer holds: the server has read most of them.
        int pieces = 2_000;
        byte[] message = VfioUserClient.message(1, 4, 0, new byte[pieces]);
        try (NativeFd file = TestHost.GuestRam.memfd(4096, true)) {
            long descriptors = descriptors();
            client.sendRaw(java.util.Arrays.copyOf(message, 16));
            for (int i = 0; i < pieces; i++) {
                client.sendRaw(new byte[1], file, file);
            }
            assertThat(descriptors() - descriptors).isLessThan(100);
        }
        assertThat(client.receive()).isNotNull();
    }

    @Test
    void aDeviceThatIsRemovedByForceAnswersErrors() {
        client.enable();
        host.bus.remove(host.mdev.uuid(), dev.mdev.core.bus.Removal.forcing(Duration.ZERO));

        assertThat(client.read(REGISTERS, 0, 4).errno()).isEqualTo(Errno.ENODEV.code());
        client.close();

        try (VfioUserClient next = new VfioUserClient(host.socket.path())) {
            assertThat(next.receive()).isNull();
        }
        client = new VfioUserClient(host.socket.path());
    }

    @Test
    void aCounterThatTheClientMakesBlockAndFillsHoldsNobodyForLong() {
        EventFd event = event();
        assertDone(client.setIrqs(0x24, 2, 0, 1, event.fd()));
        fillAndBlock(event);

        inAnotherThread(() -> host.device().context.interrupts().trigger(0));

        assertThat(event.take()).as("what was there is lost").isEqualTo(1);
    }

    @Test
    void aBlockingEventCounterOfAClientIsMadeToHoldNobody() {
        Syscalls sys = Syscalls.ofThisProcess();
        int number = sys.libc().eventfd(0, LinuxAbi.EFD_CLOEXEC);
        try (NativeFd event = sys.owned(number, "event", () -> "eventfd")) {
            assertDone(client.setIrqs(0x24, 2, 0, 1, event));
            EventFd mine = new EventFd(sys, event);
            fill(mine);

            host.device().context.interrupts().trigger(0);

            assertThat(mine.take()).isEqualTo(FULL);
        }
    }
}
