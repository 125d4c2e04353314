package dev.mdev.core.mmu;

import static dev.mdev.core.mmu.MmuMachine.PAGES_2M;
import static dev.mdev.core.mmu.MmuMachine.SIZE_2M;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.hostmm.Fill;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.MmuNotifier;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotFlags;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/// A fault whose slot or whose neighbours change while it is answered.
class OvertakenFaultTest {
    private static final long GPA = 4 * SIZE_2M;

    private final MmuMachine machine = new MmuMachine(SlotConfig.x86());
    private final Stage2Mmu mmu = machine.guest.mmu();
    private final HostMemory.Block block = machine.memory.allocate("vram", 3 * PAGES_2M);
    private final long firstPfn = (block.pfns().firstPfn() + PAGES_2M - 1) & -PAGES_2M;

    @AfterEach
    void close() {
        machine.close();
    }

    private Vma reserve(long npages, Runnable inside) {
        return machine.guest
                .hostMm()
                .reserve(
                        npages,
                        Prot.READ_WRITE,
                        0,
                        fault -> {
                            inside.run();
                            return new Fill.Map(
                                    fault.page(),
                                    new PfnRange(firstPfn + fault.page(), 1),
                                    Prot.READ_WRITE);
                        });
    }

    /// An operator may detach a device while its driver is asked: the answer is nobody's then.
    @Test
    void aSlotThatIsDeletedWhileItsPageIsResolvedGetsNoMapping() {
        Vma vma = reserve(4, () -> machine.delete(0));
        machine.slot(0, 0, GPA, 4 * Page.SIZE, vma.range().startHva());

        assertThat(machine.store(GPA, 1)).isEqualTo(new VcpuExit.MmioWrite(GPA, 8, 1));

        assertThat(mmu.leaves(1)).isZero();
    }

    @Test
    void aSlotThatMovesWhileItsPageIsResolvedIsMappedAtItsNewPlaceOnly() {
        AtomicBoolean moved = new AtomicBoolean();
        Vma[] self = new Vma[1];
        self[0] =
                reserve(
                        4,
                        () -> {
                            if (moved.compareAndSet(false, true)) {
                                machine.slot(
                                        0, 0, 2 * GPA, 4 * Page.SIZE, self[0].range().startHva());
                            }
                        });
        machine.slot(0, 0, GPA, 4 * Page.SIZE, self[0].range().startHva());

        assertThat(machine.store(GPA, 1)).isEqualTo(new VcpuExit.MmioWrite(GPA, 8, 1));

        assertThat(mmu.leaves(1)).isZero();
        assertThat(machine.store(2 * GPA, 1)).isInstanceOf(VcpuExit.Done.class);
    }

    /// The entries of a range go after the notifiers were told: a leaf that is installed in between
    /// may not hold a page of the range.
    @Test
    void noLargeLeafIsInstalledOverAPageThatIsBeingInvalidated() {
        AtomicLong answers = new AtomicLong();
        Vma vma = reserve(PAGES_2M, answers::incrementAndGet);
        for (long page = 0; page < PAGES_2M; page++) {
            machine.guest
                    .hostMm()
                    .handleFault(vma.range().startHva() + Page.addressOf(page), Access.WRITE);
        }
        machine.slot(0, 0, GPA, SIZE_2M, vma.range().startHva());
        machine.guest
                .hostMm()
                .addNotifier(
                        new MmuNotifier() {
                            @Override
                            public void invalidateStart(HvaRange range) {
                                machine.load(GPA + 7 * Page.SIZE);
                            }

                            @Override
                            public void invalidateEnd(HvaRange range) {}
                        });

        machine.guest.hostMm().zap(HvaRange.ofPages(vma.range().startHva() + 9 * Page.SIZE, 1));

        assertThat(mmu.leaves(2)).as("over the page that went").isZero();
        long before = answers.get();
        machine.load(GPA + 9 * Page.SIZE);
        assertThat(answers.get()).as("the page is asked for again").isEqualTo(before + 1);
    }

    @Test
    void aReadOnlySlotThatDoesNotLogIsNeverWritableAlsoAfterALoad() {
        Vma ram = machine.map(4);
        machine.slot(0, SlotFlags.READONLY, GPA, 4 * Page.SIZE, ram.range().startHva());

        for (int round = 0; round < 2; round++) {
            assertThat(machine.load(GPA)).isZero();
            assertThat(machine.store(GPA, 7)).isEqualTo(new VcpuExit.MmioWrite(GPA, 8, 7));
        }
    }

    @Test
    void absentMemoryIsForgottenBeforeTheRememberedGenerationsComeAgain() {
        Stage2Roots roots = new Stage2Roots(SlotConfig.x86());
        Stage2Table root = roots.of(machine.vcpu.memslots());
        WriteTracking tracking = new WriteTracking();
        MmuSlotListener listener =
                new MmuSlotListener(
                        roots,
                        tracking,
                        new MappingLevel(machine.guest.hostMm(), tracking),
                        MmuRules.DEFAULT,
                        2);
        roots.lock.lock();
        try {
            root.installLocked(Stage2Table.LEVEL_4K, 5, Stage2Entry.mmio(2));
        } finally {
            roots.lock.unlock();
        }
        long again = 1L << Stage2Entry.GENERATION_BITS;

        listener.generationChanged(0, again - 2);
        listener.generationChanged(0, again + 2);
        assertThat(Stage2Entry.isMmioAt(root.walk(5), 2)).as("between two turns").isTrue();
        listener.generationChanged(1, again + 1);

        assertThat(root.walk(5)).isEqualTo(Stage2Entry.NONE);
    }

    @Test
    void invalidationsThatOverlapInTimeAreAllWaitedFor() {
        InvalidateSeq invalidations = new InvalidateSeq();
        long seen = invalidations.read();
        invalidations.beginLocked();
        invalidations.addLocked(0, 10);
        invalidations.beginLocked();
        invalidations.addLocked(20, 30);

        assertThat(invalidations.mustRetryLocked(seen, 5)).as("the first").isTrue();
        assertThat(invalidations.mustRetryLocked(seen, 25)).as("the second").isTrue();
        assertThat(invalidations.mustRetryLocked(seen, 30)).isFalse();
        assertThat(invalidations.touchesLocked(30, 40)).isFalse();
        assertThat(invalidations.touchesLocked(29, 40)).isTrue();
        invalidations.endLocked();
        assertThat(invalidations.mustRetryLocked(seen, 40)).as("one ended since").isTrue();
        assertThat(invalidations.mustRetryLocked(invalidations.read(), 5))
                .as("one is under way")
                .isTrue();
        invalidations.endLocked();
        assertThat(invalidations.mustRetryLocked(invalidations.read(), 5)).isFalse();
    }
}
