package dev.mdev.vfiouser;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Objects;

/// Versions, information about the device, and accesses to its regions: what each request gets.
class ConformanceTest extends ServerTest {
    private VfioUserClient fresh() {
        client.close();
        return kept(new VfioUserClient(host.socket.path()));
    }

    @Test
    void theVersionAndItsTextFitWhatQemuTakes() {
        VfioUserClient.Message reply =
                fresh().ask(1, VfioUserClient.version(0, 0, "{\"capabilities\":{}}"));

        ByteBuffer body = reply.buffer();
        assertThat(body.getShort(0)).isZero();
        assertThat(body.getShort(2)).isZero();
        assertThat(reply.body()).hasSizeLessThanOrEqualTo(4 + 193 + 1).endsWith(0);
        assertThat(new String(reply.body(), 4, reply.body().length - 5, StandardCharsets.UTF_8))
                .startsWith("{\"capabilities\":{")
                .contains("\"write_multiple\":true", "\"max_data_xfer_size\":1048576");
    }

    @Test
    void theVersionIsAtMostTheClients() {
        VfioUserClient.Message reply =
                fresh().ask(1, VfioUserClient.version(0, 7, "{\"capabilities\":{}}"));

        assertThat(reply.buffer().getShort(2)).isEqualTo((short) 1);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{}",
                " { \"capabilities\" : { \"pgsizes\" : 4096 , \"x\" : [1, 2.5e3, null] } } ",
                "{\"capabilities\":{\"max_msg_fds\":16,\"migration\":{\"pgsize\":4096}}}",
            })
    void aClientsTextMayBeAnyJsonObject(String json) {
        assertDone(fresh().ask(1, VfioUserClient.version(0, 0, json)));
    }

    @Test
    void aVersionNeedsNoText() {
        assertDone(fresh().ask(1, body().u16(0, 0).done()));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "[]",
                "{",
                "\"",
                "{\"capabilities\":1}",
                "{\"capabilities\":{\"max_msg_fds\":-1}}",
                "{\"capabilities\":{\"max_msg_fds\":\"8\"}}",
                "{\"capabilities\":{\"max_msg_fds\":5000}}",
                "{\"capabilities\":{\"migration\":7}}",
                "{\"capabilities\":{\"migration\":{\"pgsize\":\"foo\"}}}",
                "{\"capabilities\":{\"migration\":{\"pgsize\":4095}}}",
                "{\"a\":1,\"a\":2}",
                "{\"a\":01}",
                "{} x",
            })
    void aTextThatIsNoneEndsTheConnection(String json) {
        VfioUserClient other = fresh();
        assertFails(other.ask(1, VfioUserClient.version(0, 0, json)), Errno.EINVAL);
        assertThat(other.receive()).isNull();
    }

    @Test
    void aVersionWithoutAnEndOrOfAnotherKindEndsTheConnection() {
        assertFails(fresh().ask(1, body().u16(0, 0).bytes((byte) '{').done()), Errno.EINVAL);
        assertFails(fresh().ask(1, body().u16(1, 0).done()), Errno.EINVAL);
        assertFails(fresh().ask(1, body().u16(0).done()), Errno.EINVAL);
        VfioUserClient other = fresh();
        assertFails(other.ask(4, body().u32(16, 0, 0, 0).done()), Errno.EINVAL);
        assertThat(other.receive()).isNull();
    }

    /// Otherwise the watch could take a client for late that has its reply.
    @Test
    void aClientThatHasItsReplyHasItsVersion() {
        for (int i = 0; i < 20; i++) {
            client.close();
            client = host.client();
            ConnectionStatus status = host.socket.connection().orElseThrow();
            assertThat(status.version()).isEqualTo("0.0");
            assertThat(status.requests()).containsEntry("VERSION", 1L);
        }
    }

    @Test
    void aSecondVersionIsRefused() {
        assertFails(client.ask(1, VfioUserClient.version(0, 0, "{}")), Errno.EINVAL);
    }

    @Test
    void theDeviceIsAPciFunctionThatCanBeReset() {
        ByteBuffer info = client.ask(4, body().u32(16, 0, 0, 0).done()).buffer();

        assertThat(info.remaining()).isEqualTo(16);
        assertThat(info.getInt(0)).isEqualTo(16);
        assertThat(info.getInt(4)).as("flags").isEqualTo(3);
        assertThat(info.getInt(8)).as("regions").isEqualTo(9);
        assertThat(info.getInt(12)).as("interrupts").isEqualTo(5);
        assertFails(client.ask(4, body().u32(8, 0, 0, 0).done()), Errno.EINVAL);
        assertFails(client.ask(4, body().u32(16, 0).done()), Errno.EINVAL);
    }

    @Test
    void regionsHaveTheirSizesAndRights() {
        assertRegion(MEMORY, 3, 65536);
        assertRegion(REGISTERS, 3, 4096);
        assertRegion(ROM, 1, 2048);
        assertRegion(CONFIG, 3, 4096);
        assertRegion(3, 0, 0);
        assertRegion(8, 0, 0);
        assertFails(client.regionInfo(9, 32), Errno.EINVAL);
        assertFails(client.regionInfo(-1, 32), Errno.EINVAL);
        assertFails(client.regionInfo(0, 31), Errno.EINVAL);
        assertFails(client.ask(5, body().u32(32, 0).done()), Errno.EINVAL);
        assertThat(client.regionInfo(REGISTERS, 64).body()).as("more room").hasSize(32);
    }

    private void assertRegion(int index, int flags, long sizeBytes) {
        VfioUserClient.Message reply = client.regionInfo(index, 32);
        ByteBuffer info = reply.buffer();
        assertThat(reply.body()).hasSize(32);
        assertThat(info.getInt(0)).as("argsz").isEqualTo(32);
        assertThat(info.getInt(4)).as("flags of region %d", index).isEqualTo(flags);
        assertThat(info.getInt(8)).isEqualTo(index);
        assertThat(info.getInt(12)).as("capabilities").isZero();
        assertThat(info.getLong(16)).as("size of region %d", index).isEqualTo(sizeBytes);
        assertThat(reply.fds()).isEmpty();
    }

    @Test
    void noRegionHasIoDescriptors() {
        assertFails(client.ask(6, body().u32(16, 0, 0, 0).done()), Errno.EINVAL);
    }

    @Test
    void configurationSpaceIsReadInOnePiece() {
        VfioUserClient.Message all = client.read(CONFIG, 0, 4096);

        assertThat(all.body()).hasSize(16 + 4096);
        assertThat(all.buffer().getInt(16)).isEqualTo(0x11e91234);
        assertThat(all.buffer().getLong(0)).as("offset is repeated").isZero();
        assertThat(all.buffer().getInt(12)).as("count is repeated").isEqualTo(4096);
        assertThat(client.readNumber(CONFIG, 2, 2)).isEqualTo(0x11e9);
        assertThat(client.readNumber(CONFIG, 1, 1)).isEqualTo(0x12);
    }

    @Test
    void registersAreReadAndWrittenAtTheWidthOfTheMessage() {
        client.enable();
        host.device().events.clear();

        assertDone(client.write(REGISTERS, 8, 4, 0x11223344));
        assertThat(client.readNumber(REGISTERS, 8, 2)).isEqualTo(0x3344);
        assertThat(client.readNumber(REGISTERS, 8, 8)).isEqualTo(0x11223344);
        assertThat(client.readNumber(REGISTERS, 9, 3)).isEqualTo(0x112233);

        assertThat(host.device().events)
                .containsExactly("write 2+8/4=11223344", "read 2+8/2", "read 2+8/8", "read 2+9/3");
    }

    @Test
    void aLongAccessOfRegistersIsSplitWhereItsPlacesAllow() {
        client.enable();
        host.device().events.clear();

        assertThat(client.read(REGISTERS, 4, 13).body()).hasSize(16 + 13);

        assertThat(host.device().events).containsExactly("read 2+4/4", "read 2+8/8", "read 2+16/1");
    }

    @Test
    void theRomIsReadWholeAndKeepsWhatIsWritten() {
        VfioUserClient.Message rom = client.read(ROM, 0, 2048);

        assertThat(rom.body()).hasSize(16 + 2048);
        assertThat(rom.buffer().getShort(16)).isEqualTo((short) 0xaa55);
        assertDone(client.write(ROM, 0, 4, 1));
    }

    @Test
    void accessesOutsideARegionAreRefused() {
        client.enable();
        assertFails(client.read(REGISTERS, 4096, 1), Errno.EINVAL);
        assertFails(client.read(REGISTERS, 4093, 4), Errno.EINVAL);
        assertFails(client.read(REGISTERS, -1, 4), Errno.EINVAL);
        assertFails(client.read(REGISTERS, Long.MAX_VALUE, 4), Errno.EINVAL);
        assertFails(client.read(REGISTERS, Long.MIN_VALUE, 4), Errno.EINVAL);
        assertFails(client.read(3, 0, 4), Errno.EINVAL);
        assertFails(client.read(9, 0, 4), Errno.EINVAL);
        assertFails(client.read(-1, 0, 4), Errno.EINVAL);
        assertFails(client.read(CONFIG, 0, (1 << 20) + 1), Errno.EINVAL);
        assertFails(client.write(REGISTERS, 4096, 4, 0), Errno.EINVAL);
        assertFails(client.ask(9, body().u64(0).done()), Errno.EINVAL);
    }

    @Test
    void aWriteHasExactlyItsBytes() {
        client.enable();
        assertFails(client.ask(10, body().u64(0).u32(REGISTERS, 4).u32(1, 2).done()), Errno.EINVAL);
        assertFails(client.ask(10, body().u64(0).u32(REGISTERS, 8).u32(1).done()), Errno.EINVAL);
        assertThat(client.write(REGISTERS, 4, 4, 9).body()).hasSize(16);
    }

    @Test
    void anAccessOfNoBytesSucceeds() {
        assertThat(client.read(REGISTERS, 0, 0).body()).hasSize(16);
        assertDone(client.write(REGISTERS, 0, 0, 0));
    }

    @Test
    void withoutMemoryDecodingABarIsNotThere() {
        assertThat(client.readNumber(REGISTERS, 8, 4)).isEqualTo(0xffff_ffffL);
        assertThat(client.readNumber(MEMORY, 0, 8)).isEqualTo(-1);
        assertDone(client.write(REGISTERS, 8, 4, 5));
        assertThat(client.read(MEMORY, 0, 4096).body()).endsWith(0xff, 0xff);
        client.enable();
        assertThat(client.readNumber(REGISTERS, 8, 4)).isZero();
    }

    @Test
    void messagesReachTheGrantedPagesOfAMappedArea() {
        client.enable();
        host.device().events.clear();

        assertDone(client.write(MEMORY, 4096, 8, 0x77));
        assertThat(host.device().memoryLong(1)).isEqualTo(0x77);
        assertThat(client.readNumber(MEMORY, 4096, 4)).isEqualTo(0x77);
        assertThat(client.readNumber(MEMORY, 4096, 1)).isEqualTo(0x77);
        byte[] two = new byte[4096];
        Arrays.fill(two, (byte) 3);
        assertDone(client.ask(10, body().u64(2048).u32(MEMORY, 4096).bytes(two).done()));
        assertThat(host.device().memoryLong(1)).isEqualTo(0x0303030303030303L);
        assertThat(client.read(MEMORY, 2048, 4096).body()).endsWith(two);

        assertThat(host.device().events).as("register accesses").isEmpty();
    }

    @Test
    void rightsInAMappedAreaAreTheDrivers() {
        client.enable();
        host.device().events.clear();

        assertFails(client.read(MEMORY, 4096 * TestDriver.DENIED_PAGE, 4), Errno.EACCES);
        assertThat(client.readNumber(MEMORY, 4096 * TestDriver.READONLY_PAGE, 4)).isZero();
        assertThat(client.write(MEMORY, 4096 * TestDriver.READONLY_PAGE, 4, 1).errno()).isNotZero();
        assertDone(client.write(MEMORY, 4096 * TestDriver.TRAPPED_PAGE + 8, 4, 6));
        assertThat(client.readNumber(MEMORY, 4096 * TestDriver.TRAPPED_PAGE + 8, 4)).isEqualTo(6);

        assertThat(host.device().events).containsExactly("write 0+16392/4=6", "read 0+16392/4");
    }

    @Test
    void aRevokedPageIsAskedForAgain() {
        client.enable();
        assertDone(client.write(MEMORY, 0, 8, 5));
        assertThat(host.mdev.residentPages(MEMORY)).isEqualTo(1);

        host.mdev.revokeAll();

        assertThat(host.mdev.residentPages(MEMORY)).isZero();
        assertThat(client.readNumber(MEMORY, 0, 8)).isEqualTo(5);
    }

    @Test
    void severalWritesComeInOneMessage() {
        client.enable();
        VfioUserClient.Body body = body().u64(3);
        for (int i = 0; i < 3; i++) {
            body.u64(16 + 8 * i).u32(REGISTERS, 4).u64(100 + i);
        }

        VfioUserClient.Message reply = client.ask(15, body.done());

        assertThat(reply.buffer().getLong(0)).isEqualTo(3);
        assertThat(client.readNumber(REGISTERS, 32, 8)).isEqualTo(102);
        assertFails(client.ask(15, body().u64(2).u64(0, 0, 0).done()), Errno.EINVAL);
        assertFails(client.ask(15, body().u64(-1).u64(0, 0, 0).done()), Errno.EINVAL);
        assertFails(
                client.ask(15, body().u64(1).u64(0).u32(REGISTERS, 9).u64(0).done()), Errno.EINVAL);
        assertThat(client.ask(15, body().u64(0).done()).buffer().getLong(0)).isZero();
    }

    @Test
    void aMessageThatWantsNoReplyGetsNone() {
        client.enable();
        byte[] write = body().u64(8).u32(REGISTERS, 4).u32(0x66).done();
        client.send(1, 10, VfioUserClient.NO_REPLY, write);
        client.send(2, 10, VfioUserClient.NO_REPLY, body().u64(-1).u32(99, 4).u32(0).done());
        client.send(3, 99, VfioUserClient.NO_REPLY, new byte[0]);

        assertThat(client.readNumber(REGISTERS, 8, 4)).isEqualTo(0x66);
    }

    @Test
    void requestsInFlightAreAnsweredInOrder() {
        client.enable();
        for (int id = 0; id < 100; id++) {
            client.send(id, 9, 0, body().u64(4L * id).u32(REGISTERS, 4).done());
        }
        for (int id = 0; id < 100; id++) {
            assertThat(Objects.requireNonNull(client.receive()).id()).isEqualTo(id);
        }
    }

    @Test
    void anUnknownCommandIsRefused() {
        for (int command : new int[] {0, 11, 12, 14, 19, 31, 32, 0xffff}) {
            assertFails(client.ask(command, new byte[32]), Errno.EINVAL);
        }
    }

    @Test
    void anAnswerThatNobodyAwaitsIsIgnored() {
        client.send(9, 11, VfioUserClient.REPLY, new byte[32]);
        client.send(9, 1, VfioUserClient.REPLY | VfioUserClient.ERROR, new byte[0]);

        assertThat(client.readNumber(CONFIG, 0, 2)).isEqualTo(0x1234);
    }

    @Test
    void aResetResetsTheDeviceAndKeepsMapsAndCounters() {
        client.enable();
        TestHost.GuestRam ram = ram();
        assertDone(client.map(0, RAM_BYTES, 3, 0, ram.fd));
        assertDone(client.write(REGISTERS, 8, 4, 5));
        host.device().events.clear();

        assertDone(client.ask(13, new byte[0]));

        assertThat(host.device().events).contains("reset");
        assertThat(client.readNumber(CONFIG, 4, 2)).as("decoding is off").isZero();
        client.enable();
        assertThat(client.readNumber(REGISTERS, 8, 4)).isZero();
        assertThat(deviceReads(0)).isZero();
        assertFails(client.ask(13, new byte[4]), Errno.EINVAL);
    }

    @Test
    void aResetThatTheDriverFailsSaysSo() {
        host.device().whenReset =
                () -> {
                    throw new dev.mdev.api.MdevException(Errno.EBUSY, "not now");
                };
        assertFails(client.ask(13, new byte[0]), Errno.EBUSY);
        host.device().whenReset = () -> {};
        assertDone(client.ask(13, new byte[0]));
    }

    @Test
    void aReadThatFailsGetsOnesWhereTheClientExpectsBytes() {
        client.close();
        client = new VfioUserClient(host.socket.path());
        assertDone(client.ask(1, VfioUserClient.version(0, 1, "{\"capabilities\":{}}")));
        client.enable();

        assertThat(client.readNumber(MEMORY, 4096 * TestDriver.DENIED_PAGE, 4))
                .isEqualTo(0xffff_ffffL);
    }

    @Test
    void whatADriverThrowsIsAnError() {
        client.enable();
        host.device().whenWritten =
                () -> {
                    throw new IllegalStateException("a bug");
                };

        assertThat(client.write(REGISTERS, 0, 4, 1).errno()).isNotZero();

        assertThat(client.readNumber(REGISTERS, 8, 4)).isZero();
    }
}
