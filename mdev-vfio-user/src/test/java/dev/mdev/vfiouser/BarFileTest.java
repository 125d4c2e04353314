package dev.mdev.vfiouser;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.RegionInfo;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.sys.FileFacts;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

/// BARs that a client can map: how it hears of them, and that messages reach the same pages.
class BarFileTest extends ServerTest {
    private final AtomicInteger open = new AtomicInteger();
    private final NativeFd shown = TestHost.sealed(65536);

    @BeforeEach
    void offerFiles() {
        client.close();
        host.close();
        host = new TestHost(folder, SessionOptions.DEFAULT, this::file);
        client = host.client();
    }

    @AfterEach
    void closeFile() {
        shown.close();
    }

    private Optional<BarFiles.BarFile> file(MdevAssignment assignment, RegionInfo region) {
        HostMm mm =
                new HostMm(new HostAddresses(0x100000, 0x10000000), host.memory, Deadlines.HANG);
        Vma vma = assignment.map(mm, region, region.areas().getFirst());
        open.incrementAndGet();
        return Optional.of(
                new BarFiles.BarFile() {
                    @Override
                    public int fd() {
                        return shown.number();
                    }

                    @Override
                    public List<BarFiles.Part> parts() {
                        return List.of(
                                new BarFiles.Part(0x1000, 0x2000),
                                new BarFiles.Part(0x8000, 0x1000));
                    }

                    @Override
                    public HostMm hostMm() {
                        return mm;
                    }

                    @Override
                    public long hvaOf(long offsetBytes) {
                        return vma.range().startHva() + offsetBytes;
                    }

                    @Override
                    public void close() {
                        open.decrementAndGet();
                        assignment.unmap(vma);
                        mm.close();
                    }
                });
    }

    @Test
    void theAreasComeWhenThereIsRoomAndTheFileWithThem() {
        VfioUserClient.Message first = client.regionInfo(MEMORY, 32);
        assertThat(first.body()).hasSize(32);
        assertThat(first.fds()).isEmpty();
        assertThat(first.buffer().getInt(0)).as("room that is needed").isEqualTo(80);
        assertThat(first.buffer().getInt(4)).as("no capabilities yet").isEqualTo(7);
        assertThat(first.buffer().getInt(12)).isZero();

        VfioUserClient.Message reply = client.regionInfo(MEMORY, 80);
        ByteBuffer info = reply.buffer();
        assertThat(reply.body()).hasSize(80);
        assertThat(info.getInt(4)).isEqualTo(15);
        assertThat(info.getInt(12)).isEqualTo(32);
        assertThat(info.getLong(24)).as("offset in the file").isZero();
        assertThat(info.getShort(32)).as("sparse areas").isEqualTo((short) 1);
        assertThat(info.getShort(34)).isEqualTo((short) 1);
        assertThat(info.getInt(36)).as("the last capability").isZero();
        assertThat(info.getInt(40)).isEqualTo(2);
        assertThat(info.getLong(48)).isEqualTo(0x1000);
        assertThat(info.getLong(56)).isEqualTo(0x2000);
        assertThat(info.getLong(64)).isEqualTo(0x8000);
        assertThat(info.getLong(72)).isEqualTo(0x1000);
        assertThat(reply.fds()).hasSize(1);
        Syscalls sys = Syscalls.ofThisProcess();
        try (NativeFd got = reply.fds().getFirst()) {
            assertThat(FileFacts.of(sys, got).inode()).isEqualTo(FileFacts.of(sys, shown).inode());
        }
        assertThat(client.regionInfo(REGISTERS, 80).fds()).isEmpty();
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
    void theFileIsClosedWithTheConnection() {
        assertThat(open).hasValue(1);
        client.close();
        client = host.client();
        assertThat(open).hasValue(1);
        host.socket.close();
        assertThat(open).hasValue(0);
    }
}
