package dev.mdev.vfiouser;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.mdev.api.RegionInfo;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.engine.barfile.BarFile;
import dev.mdev.core.engine.barfile.BarFileOptions;
import dev.mdev.core.engine.barfile.BarFileSystem;
import dev.mdev.core.sys.NativeFd;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;

/// BARs that a client can map: how it hears of them, and that messages reach the same pages.
class MappedBarTest extends ServerTest {
    private final List<BarFile> opened = new CopyOnWriteArrayList<>();
    private Optional<BarFileSystem> files = Optional.empty();

    @BeforeEach
    void offerFiles() {
        assumeTrue(
                BarFileSystem.probe().isAvailable(),
                () -> "no BAR files: " + BarFileSystem.probe().findings());
        client.close();
        host.close();
        host = new TestHost(folder, TestHost.PATIENT, this::file);
        client = host.client();
    }

    @AfterEach
    void unmount() {
        files.ifPresent(BarFileSystem::close);
    }

    private Optional<BarFile> file(MdevAssignment assignment, RegionInfo region) {
        if (files.isEmpty()) {
            files =
                    Optional.of(
                            BarFileSystem.mount(
                                    folder.resolve("bars"), host.memory, BarFileOptions.DEFAULT));
        }
        BarFile file = files.get().open(assignment, region);
        opened.add(file);
        return Optional.of(file);
    }

    @Test
    void theAreasComeWhenThereIsRoomAndTheFileWithThem() {
        VfioUserClient.Message first = client.regionInfo(MEMORY, 32);
        assertThat(first.body()).hasSize(32);
        assertThat(first.fds()).isEmpty();
        assertThat(first.buffer().getInt(0)).as("room that is needed").isEqualTo(64);
        assertThat(first.buffer().getInt(4)).as("no capabilities yet").isEqualTo(7);
        assertThat(first.buffer().getInt(12)).isZero();

        VfioUserClient.Message reply = client.regionInfo(MEMORY, 64);
        ByteBuffer info = reply.buffer();
        assertThat(reply.body()).hasSize(64);
        assertThat(info.getInt(4)).isEqualTo(15);
        assertThat(info.getInt(12)).isEqualTo(32);
        assertThat(info.getLong(24)).as("offset in the file").isZero();
        assertThat(info.getShort(32)).as("sparse areas").isEqualTo((short) 1);
        assertThat(info.getShort(34)).isEqualTo((short) 1);
        assertThat(info.getInt(36)).as("the last capability").isZero();
        assertThat(info.getInt(40)).isEqualTo(1);
        assertThat(info.getLong(48)).isZero();
        assertThat(info.getLong(56)).isEqualTo(65536);
        assertThat(reply.fds()).hasSize(1);
        reply.fds().forEach(NativeFd::close);
        assertThat(client.regionInfo(REGISTERS, 64).fds()).isEmpty();
    }

    @Test
    void messagesReachThePagesOfTheFile() {
        client.enable();
        assertDone(client.write(MEMORY, 4096, 8, 0x99));

        assertThat(host.device().memoryLong(1)).isEqualTo(0x99);
        assertThat(client.readNumber(MEMORY, 4096, 8)).isEqualTo(0x99);
        assertThat(host.mdev.residentPages(MEMORY)).isEqualTo(1);
    }

    @Test
    void eachConnectionHasAFileOfItsOwn() {
        assertThat(opened).hasSize(1);
        client.close();
        client = host.client();
        assertThat(opened).hasSize(2);
        client.enable();
        assertThat(client.readNumber(MEMORY, 4096, 8)).isZero();
    }
}
