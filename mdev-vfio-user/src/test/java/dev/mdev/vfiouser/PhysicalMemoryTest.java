package dev.mdev.vfiouser;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Page;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.util.Optional;

/// A device whose memory is that of a physical device, as files of sysfs show it: the client cannot
/// map it, and reaches it by messages, until it vanishes.
class PhysicalMemoryTest extends ServerTest {
    private static final long VALUE = 0x1122_3344_5566_7788L;

    @BeforeEach
    void showPhysicalMemory() throws IOException {
        resize(Page.bytesOf((long) TestDriver.PAGES * TestDriver.DEVICES));
        client.close();
        host.close();
        host =
                new TestHost(
                        folder,
                        TestHost.PATIENT,
                        (_, region) -> {
                            throw new AssertionError("a file of " + region);
                        },
                        new TestDriver(Optional.of(folder.resolve("resource0"))));
        client = host.client();
        client.enable();
    }

    private void resize(long sizeBytes) throws IOException {
        try (RandomAccessFile file =
                new RandomAccessFile(folder.resolve("resource0").toFile(), "rw")) {
            file.setLength(sizeBytes);
        }
    }

    @Test
    void theClientIsOfferedNothingToMap() {
        VfioUserClient.Message info = client.regionInfo(MEMORY, 64);

        assertThat(info.buffer().getInt(4)).as("it reads and writes").isEqualTo(3);
        assertThat(info.fds()).isEmpty();
    }

    @Test
    void messagesReachThePagesThatTheDriverGrants() {
        for (int width : new int[] {1, 2, 4, 8}) {
            long offset = Page.SIZE + 16L * width;
            assertDone(client.write(MEMORY, offset, width, VALUE));
            assertThat(client.readNumber(MEMORY, offset, width))
                    .isEqualTo(VALUE & (-1L >>> (Long.SIZE - Byte.SIZE * width)));
        }
        assertDone(client.write(MEMORY, Page.SIZE, 8, VALUE));
        assertThat(host.device().memoryLong(1)).isEqualTo(VALUE);
        assertThat(host.mdev.residentPages(MEMORY)).isEqualTo(1);
        assertFails(client.write(MEMORY, Page.bytesOf(TestDriver.DENIED_PAGE), 8, 1), Errno.EACCES);
    }

    @Test
    void aDeviceThatVanishesIsAnErrorOfEachAccessAndTheHostGoesOn() throws IOException {
        assertDone(client.write(MEMORY, 0, 8, 1));

        resize(0);

        assertFails(client.write(MEMORY, 0, 8, 2), Errno.EIO);
        assertDone(client.write(REGISTERS, 8, 4, 3));
    }
}
