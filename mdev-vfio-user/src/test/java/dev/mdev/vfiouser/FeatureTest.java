package dev.mdev.vfiouser;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.page.Access;

import org.junit.jupiter.api.Test;

import java.io.ByteArrayOutputStream;
import java.util.Arrays;

/// The log of a device's writes, and its migration.
class FeatureTest extends ServerTest {
    private static final int GET = 1 << 16;
    private static final int SET = 1 << 17;
    private static final int PROBE = 1 << 18;
    private static final int STOP = 1;
    private static final int RUNNING = 2;
    private static final int STOP_COPY = 3;
    private static final int RESUMING = 4;

    private VfioUserClient.Message feature(int flags, long... data) {
        return client.ask(16, body().u32(1 << 20, flags).u64(data).done());
    }

    private VfioUserClient.Message startLogging() {
        return client.ask(16, body().u32(4096, SET | 6).u64(4096).u32(0, 0).done());
    }

    /// The first word of the bitmap.
    private long dirty(long iova, long length, long page) {
        VfioUserClient.Message reply = feature(GET | 8, iova, length, page);
        assertDone(reply);
        assertThat(reply.buffer().getInt(0)).isEqualTo(reply.body().length);
        assertThat(reply.buffer().getLong(8)).isEqualTo(iova);
        return reply.buffer().getLong(32);
    }

    @Test
    void writesOfTheDeviceAreReportedOnce() {
        client.enable();
        assertDone(client.map(0x10000, RAM_BYTES, 3, 0, ram().fd));
        deviceWrites(0x11000, 1);
        assertDone(startLogging());
        deviceWrites(0x13000, 1);
        deviceWrites(0x14ffc, 1);
        assertThat(deviceReads(0x16000)).isZero();

        assertThat(dirty(0x10000, RAM_BYTES, 4096)).isEqualTo(0b111000);
        assertThat(dirty(0x10000, RAM_BYTES, 4096)).isZero();

        assertDone(feature(SET | 7));
        deviceWrites(0x13000, 1);
        assertFails(feature(GET | 8, 0x10000, RAM_BYTES, 4096), Errno.EINVAL);
    }

    @Test
    void aReportOfAPartLeavesTheRest() {
        client.enable();
        assertDone(client.map(0, RAM_BYTES, 3, 0, ram().fd));
        assertDone(startLogging());
        deviceWrites(0x3000, 1);
        deviceWrites(0x8000, 1);

        assertThat(dirty(0x2000, 0x2000, 4096)).isEqualTo(0b10);
        assertThat(dirty(0, 0x10000, 8192)).isEqualTo(0b10000);
    }

    @Test
    void memoryOfEveryKindIsLoggedAlsoIfItIsMappedLater() {
        client.enable();
        assertDone(startLogging());
        assertDone(client.map(0, RAM_BYTES, 3, 0, ram().fd));
        try (var file = TestHost.GuestRam.memfd(0x4000, false)) {
            assertDone(client.map(0x200000, 0x4000, 3, 0, file));
        }
        deviceWrites(0x1000, 1);
        deviceWrites(0x201000, 1);

        assertThat(dirty(0, 0x4000, 4096)).isEqualTo(0b10);
        assertThat(dirty(0x200000, 0x4000, 4096)).isEqualTo(0b10);
    }

    @Test
    void aPinnedPageIsDirtyTheWholeTime() {
        client.enable();
        assertDone(client.map(0, RAM_BYTES, 3, 0, ram().fd));
        try (GuestMemory.Pin _ = host.device().memory().pin(0x2000, 1, Access.WRITE)) {
            assertDone(startLogging());
            assertThat(dirty(0, 0x8000, 4096)).isEqualTo(0b100);
            assertThat(dirty(0, 0x8000, 4096)).isEqualTo(0b100);
        }
    }

    @Test
    void whatIsNoRequestForALogIsRefused() {
        assertFails(feature(GET | 8, 0, 4096, 4096), Errno.EINVAL);
        assertFails(
                client.ask(16, body().u32(4096, SET | 6).u64(1000).u32(0, 0).done()), Errno.EINVAL);
        assertFails(
                client.ask(16, body().u32(4096, SET | 6).u64(4096).u32(9, 0).done()), Errno.EINVAL);
        assertDone(startLogging());
        assertFails(startLogging(), Errno.EINVAL);
        assertFails(feature(GET | 8, 1, 4096, 4096), Errno.EINVAL);
        assertFails(feature(GET | 8, 0, 0, 4096), Errno.EINVAL);
        assertFails(feature(GET | 8, 0, Long.MAX_VALUE & -4096, 4096), Errno.EINVAL);
        assertFails(feature(GET | 8, -4096, 8192, 4096), Errno.EINVAL);
        assertFails(feature(GET | 8, 0, 4096, 100), Errno.EINVAL);
        assertFails(feature(GET | 6, 0, 0, 0), Errno.EINVAL);
        assertFails(feature(SET | 8, 0, 0, 0), Errno.EINVAL);
        assertFails(feature(GET | SET | 2, 0), Errno.EINVAL);
        assertFails(feature(GET | 99), Errno.EINVAL);
        assertFails(feature(8), Errno.EINVAL);
        assertFails(client.ask(16, body().u32(8).done()), Errno.EINVAL);
    }

    @Test
    void featuresAreProbed() {
        VfioUserClient.Message reply = feature(PROBE | GET | SET | 2);
        assertDone(reply);
        assertThat(reply.buffer().getInt(4)).isEqualTo(PROBE | GET | SET | 2);
        assertDone(feature(PROBE | SET | 6));
        assertDone(feature(PROBE | 1));
        assertFails(feature(PROBE | SET | 1), Errno.EINVAL);
        assertFails(feature(PROBE | GET | 5), Errno.EINVAL);
        assertThat(feature(GET | 1).buffer().getLong(8)).as("stop and copy").isEqualTo(1);
    }

    @Test
    void aRequestWithoutRoomForItsAnswerIsRefused() {
        assertFails(client.ask(16, body().u32(2, PROBE | 1).done()), Errno.EINVAL);
        assertFails(client.ask(16, body().u32(8, GET | 1).done()), Errno.EINVAL);
        assertFails(client.ask(16, body().u32(8, SET | 2).u32(RUNNING, 0).done()), Errno.EINVAL);
        assertFails(client.ask(16, body().u32(8, SET | 2).done()), Errno.EINVAL);
        assertDone(startLogging());
        byte[] report = body().u32(8 + 24 + 8 - 1, GET | 8).u64(0, 0x20000, 4096).done();
        assertFails(client.ask(16, report), Errno.EINVAL);
        assertFails(client.ask(17, body().u32(8).done()), Errno.EINVAL);
        assertFails(client.ask(18, body().u32(8).done()), Errno.EINVAL);
    }

    @Test
    void aLogEndsWithItsMemoryAndWithItsClient() {
        client.enable();
        assertDone(client.map(0, RAM_BYTES, 3, 0, ram().fd));
        assertDone(client.map(0x200000, RAM_BYTES, 3, 0, ram().fd));
        assertDone(startLogging());
        deviceWrites(0x1000, 1);
        deviceWrites(0x201000, 1);
        assertDone(client.unmap(0, RAM_BYTES, 0));
        assertThat(dirty(0x200000, RAM_BYTES, 4096)).isEqualTo(0b10);
        client.close();

        client = host.client();

        client.enable();
        assertDone(client.map(0, RAM_BYTES, 3, 0, ram().fd));
        assertFails(feature(GET | 8, 0, RAM_BYTES, 4096), Errno.EINVAL);
        assertDone(startLogging());
        assertThat(dirty(0, RAM_BYTES, 4096)).isZero();
    }

    private VfioUserClient.Message go(int state) {
        return client.ask(16, body().u32(16, SET | 2).u32(state, 0).done());
    }

    private int state() {
        return feature(GET | 2).buffer().getInt(8);
    }

    private byte[] saved() {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        while (true) {
            VfioUserClient.Message piece = client.ask(17, body().u32(8, 4096).done());
            assertDone(piece);
            int size = piece.buffer().getInt(4);
            assertThat(piece.body()).hasSize(8 + size);
            all.write(piece.body(), 8, size);
            if (size < 4096) {
                return all.toByteArray();
            }
        }
    }

    @Test
    void aDeviceIsSavedAndRestored() {
        client.enable();
        assertDone(client.write(REGISTERS, 8, 4, 0x1234));
        assertDone(client.write(MEMORY, 4096, 8, 0x5678));
        assertThat(state()).isEqualTo(RUNNING);
        assertDone(go(STOP_COPY));
        assertThat(state()).isEqualTo(STOP_COPY);
        byte[] saved = saved();
        assertDone(go(STOP));
        assertDone(client.ask(13, new byte[0]));
        assertThat(state()).isEqualTo(RUNNING);
        client.enable();
        assertDone(client.write(MEMORY, 4096, 8, 0));

        assertDone(go(RESUMING));
        for (int at = 0; at < saved.length; at += 1000) {
            byte[] piece = Arrays.copyOfRange(saved, at, Math.min(at + 1000, saved.length));
            assertDone(
                    client.ask(18, body().u32(8 + piece.length, piece.length).bytes(piece).done()));
        }
        assertDone(go(RUNNING));

        assertThat(client.readNumber(REGISTERS, 8, 4)).isEqualTo(0x1234);
        assertThat(client.readNumber(MEMORY, 4096, 8)).isEqualTo(0x5678);
        assertThat(host.device().events).contains("stop", "resume");
    }

    @Test
    void aDeviceThatIsBeingCopiedIsNotAccessed() {
        assertDone(go(STOP));
        assertThat(client.readNumber(CONFIG, 0, 2)).isEqualTo(0x1234);
        assertDone(go(STOP_COPY));
        assertFails(client.read(CONFIG, 0, 2), Errno.EINVAL);
        assertDone(go(RUNNING));
        assertThat(client.readNumber(CONFIG, 0, 2)).isEqualTo(0x1234);
    }

    @Test
    void statesThatAreNotOfferedAndDataInTheWrongStateAreRefused() {
        for (int target : new int[] {0, 5, 6, 7, 8, -1}) {
            assertFails(go(target), Errno.EINVAL);
        }
        assertFails(client.ask(17, body().u32(8, 10).done()), Errno.EINVAL);
        assertFails(client.ask(18, body().u32(8, 0).done()), Errno.EINVAL);
        assertDone(go(STOP_COPY));
        assertFails(client.ask(17, body().u32(8, 1 << 21).done()), Errno.EINVAL);
        assertFails(client.ask(18, body().u32(9, 1).bytes((byte) 0).done()), Errno.EINVAL);
        assertDone(go(RESUMING));
        assertFails(client.ask(18, body().u32(9, 5).bytes((byte) 0).done()), Errno.EINVAL);
    }

    @Test
    void aStateThatIsNoneLeavesTheDeviceInErrorUntilAReset() {
        assertDone(go(RESUMING));
        assertDone(client.ask(18, body().u32(16, 8).u64(0x1111111111111111L).done()));
        assertFails(go(STOP), Errno.EIO);
        assertThat(state()).isZero();
        assertFails(go(RUNNING), Errno.EINVAL);

        assertDone(client.ask(13, new byte[0]));

        assertThat(state()).isEqualTo(RUNNING);
        client.enable();
        assertThat(client.readNumber(REGISTERS, 8, 4)).isZero();
    }

    @Test
    void aClientThatLeavesInTheMiddleLeavesADeviceThatRuns() {
        assertDone(go(STOP_COPY));
        client.close();

        client = host.client();

        assertThat(state()).isEqualTo(RUNNING);
        client.enable();
        assertThat(client.readNumber(REGISTERS, 8, 4)).isZero();
    }
}
