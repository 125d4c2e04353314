package dev.mdev.core.hostmm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/// Memory that may vanish is copied, in accesses of exactly the asked width, and never touched
/// otherwise.
class GuardedMemoryTest {
    private static final int NPAGES = 2;

    private final Vanishing device = new Vanishing();
    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final JoinedBlocks aperture =
            new JoinedBlocks(memory.adoptAll("card", List.of(new HostMemory.Part(NPAGES, device))));
    private final HostMm mm = new HostMm(new RecordingPageTable(), memory, Duration.ofSeconds(60));
    private final Vma vma =
            mm.reserve(
                    NPAGES,
                    Prot.READ_WRITE,
                    0,
                    fault ->
                            new Fill.Map(
                                    fault.page(),
                                    new PfnRange(aperture.pfns().firstPfn() + fault.page(), 1),
                                    Prot.READ_WRITE));

    @AfterEach
    void close() {
        mm.close();
        memory.close();
    }

    private static final class Vanishing implements MemoryBackend.Backing, GuardedMemory {
        private final MemorySegment content = MemorySegment.ofArray(new byte[NPAGES * Page.SIZE]);
        private final List<String> accesses = new ArrayList<>();
        private boolean gone;

        @Override
        public MemorySegment segment() {
            throw new MdevException(Errno.EOPNOTSUPP, "no segment");
        }

        @Override
        public GuardedMemory guarded() {
            return this;
        }

        @Override
        public int fd() {
            return -1;
        }

        @Override
        public long fileOffsetBytes() {
            return 0;
        }

        @Override
        public void release() {}

        @Override
        public void read(long offsetBytes, MemorySegment destination) {
            access("read", offsetBytes, destination.byteSize());
            destination.copyFrom(content.asSlice(offsetBytes, destination.byteSize()));
        }

        @Override
        public void write(long offsetBytes, MemorySegment source) {
            access("write", offsetBytes, source.byteSize());
            content.asSlice(offsetBytes).asSlice(0, source.byteSize()).copyFrom(source);
        }

        private void access(String kind, long offsetBytes, long lengthBytes) {
            accesses.add("%s %d at 0x%x".formatted(kind, lengthBytes, offsetBytes));
            if (gone) {
                throw new MdevException(Errno.EIO, "gone");
            }
        }
    }

    private long hva(long offsetBytes) {
        return vma.range().startHva() + offsetBytes;
    }

    @Test
    void aCopyIsOneAccessPerPage() {
        byte[] bytes = {1, 2, 3, 4, 5, 6, 7, 8};
        assertThat(mm.writePage(hva(0x20), true, MemorySegment.ofArray(bytes).asSlice(0, 4)))
                .isNull();
        assertThat(mm.copyTo(hva(Page.SIZE - 4), MemorySegment.ofArray(bytes))).isNull();
        byte[] read = new byte[8];
        assertThat(mm.copyFrom(hva(Page.SIZE - 4), MemorySegment.ofArray(read))).isNull();
        assertThat(read).isEqualTo(bytes);
        assertThat(device.accesses)
                .containsExactly(
                        "write 4 at 0x20",
                        "write 4 at 0xffc",
                        "write 4 at 0x1000",
                        "read 4 at 0xffc",
                        "read 4 at 0x1000");
    }

    @Test
    void whatVanishedIsAFailureOfTheCopy() {
        device.gone = true;
        MemorySegment word = MemorySegment.ofArray(new byte[4]);
        assertThat(mm.readPage(hva(0), true, word))
                .isEqualTo(new FaultResult.Failed(Errno.EIO, "gone"));
        assertThat(mm.copyTo(hva(0), word)).isEqualTo(new FaultResult.Failed(Errno.EIO, "gone"));
    }

    @Test
    void anActionOnTheMemoryItselfIsRefused() {
        assertThat(
                        mm.withPage(
                                hva(0),
                                Access.WRITE,
                                true,
                                (segment, _) -> assertThat(segment).isNull()))
                .isEqualTo(new FaultResult.Failed(Errno.EOPNOTSUPP, "no segment"));
    }

    @Test
    void aFillIsMadeOfCopies() {
        aperture.fill(8, Page.SIZE, (byte) 7);
        assertThat(device.accesses).containsExactly("write 4096 at 0x8");
        assertThat(aperture.load(8, 8)).isEqualTo(0x0707070707070707L);
        assertThat(aperture.load(0, 8)).isZero();
    }
}
