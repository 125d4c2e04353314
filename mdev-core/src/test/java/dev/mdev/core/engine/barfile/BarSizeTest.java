package dev.mdev.core.engine.barfile;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.RegionArea;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.hostmm.Fill;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.hostmm.VmaFault;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/// Files of many pages, without a driver: page `i` of the file is page `i` of a block.
@Timeout(value = 600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class BarSizeTest extends BarWorld implements BarFileSystem.Owner {
    private static final long NPAGES = 8192;

    private final AtomicInteger asked = new AtomicInteger();
    private HostMemory.Block block;

    /// Pages of each grant; they begin at a multiple.
    private long grantPages = 1;

    @BeforeEach
    void allocate() {
        block = memory.allocate("vram", NPAGES);
    }

    @Override
    public Vma map(HostMm mm, RegionArea area) {
        long npages = Page.numberOf(area.sizeBytes());
        return mm.reserve(npages, Prot.READ_WRITE, Page.numberOf(area.offsetBytes()), this::answer);
    }

    @Override
    public void unmap(Vma vma) {}

    private Fill answer(VmaFault fault) {
        asked.incrementAndGet();
        assertThat(fault.access()).isEqualTo(Access.WRITE);
        long first = Math.max(fault.page() / grantPages * grantPages, fault.firstPage());
        long end = Math.min(first + grantPages, fault.endPage());
        return new Fill.Map(
                first, new PfnRange(block.pfns().firstPfn() + first, end - first), Prot.READ_WRITE);
    }

    private BarFile openAll(RegionArea.Kind kind) {
        return later(fs.open(List.of(new RegionArea(0, Page.bytesOf(NPAGES), kind)), this));
    }

    private long blockLong(long page) {
        MemorySegment value = MemorySegment.ofArray(new long[1]);
        block.read(Page.addressOf(page), value);
        return value.get(ValueLayout.JAVA_LONG, 0);
    }

    @Test
    void manyDirtyPagesAreRevokedAtOnceAndHaveTheirContent() throws Exception {
        BarFile file = openAll(RegionArea.Kind.LAZY);
        BarClient client = client(file);
        client.fill(0, 4096, 0x700);
        assertThat(asked).hasValue(4096);

        file.hostMm().zap(HvaRange.ofPages(file.hvaOf(0), NPAGES));

        assertThat(file.residentPages()).isZero();
        for (int page = 0; page < 4096; page++) {
            assertThat(blockLong(page)).isEqualTo(0x700 + page);
        }
        assertThat(client.mismatches(0, 4096, 0x700)).isZero();
    }

    @Test
    void grantsOfManyPagesAreReadManyAtATime() throws Exception {
        grantPages = 512;
        BarFile file = openAll(RegionArea.Kind.LAZY);
        BarClient client = later(BarClient.startWithHugePages(program, file));

        client.fill(0, NPAGES, 0x700);

        assertThat(asked).hasValue((int) (NPAGES / grantPages));
        assertThat(file.counts().readsSplit()).isLessThan(4 * NPAGES / grantPages);
        for (int page = 0; page < NPAGES; page += 97) {
            assertThat(blockLong(page)).isEqualTo(0x700 + page);
        }
    }

    @Test
    void anEagerAreaIsGrantedBeforeItsFirstAccess() throws Exception {
        grantPages = NPAGES;
        BarFile file = openAll(RegionArea.Kind.EAGER);
        assertThat(asked).hasValue(1);
        assertThat(file.residentPages()).isEqualTo(NPAGES);

        BarClient client = client(file);
        client.fill(0, NPAGES, 1);

        assertThat(asked).hasValue(1);
        assertThat(blockLong(NPAGES - 1)).isEqualTo(NPAGES);
    }

    /// An access outside the areas, as to a page of registers, is an error of the client.
    @Test
    void onlyAreasCanBeReached() throws Exception {
        BarFile file =
                later(
                        fs.open(
                                List.of(
                                        RegionArea.lazyPages(16, 24),
                                        new RegionArea(0, at(4), RegionArea.Kind.TRAPPED),
                                        new RegionArea(at(4), at(4), RegionArea.Kind.EAGER)),
                                this));
        assertThat(file.areas())
                .containsExactly(new BarFile.Area(at(4), at(4)), new BarFile.Area(at(16), at(8)));
        assertThat(file.sizeBytes()).isEqualTo(at(24));
        BarClient client = client(file);

        client.store(at(4), 1);
        client.store(at(23), 2);

        assertThat(client.tell("load 0")).isEqualTo("bus");
        assertThat(client.tell("load " + at(15))).isEqualTo("bus");
        assertThat(blockLong(4)).isOne();
        assertThat(blockLong(23)).isEqualTo(2);
    }

    /// All of the host's ways to the content, over pages that are granted, cached, and neither.
    @Test
    void theHostReadsWritesFillsAndCopiesAcrossPagesInAllStates() throws Exception {
        BarFile file = openAll(RegionArea.Kind.LAZY);
        BarClient client = client(file);
        for (int page = 0; page < 64; page++) {
            if (page % 3 != 0) {
                client.store(at(page), 0x100 + page);
            }
        }
        MemorySegment whole = MemorySegment.ofArray(new byte[(int) at(64)]);

        block.read(0, whole);
        for (int page = 0; page < 64; page++) {
            assertThat(whole.get(ValueLayout.JAVA_LONG_UNALIGNED, at(page)))
                    .isEqualTo(page % 3 != 0 ? 0x100 + page : 0);
            whole.set(ValueLayout.JAVA_LONG_UNALIGNED, at(page), 0x500 + page);
        }
        block.write(0, whole);
        assertThat(client.mismatches(0, 64, 0x500)).isZero();

        block.fill(at(2) + 8, at(3), (byte) 7);
        assertThat(client.load(at(2))).isEqualTo(0x502);
        assertThat(client.load(at(3))).isEqualTo(0x0707070707070707L);
        assertThat(client.load(at(5))).isEqualTo(0x0707070707070707L);
        assertThat(client.load(at(5) + 8)).isZero();
    }
}
