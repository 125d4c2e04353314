package dev.mdev.core.hostmm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/// Zaps and removals of ranges.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class HostMmRemovalTest {
    private static final long NPAGES = 64;
    private static final Duration PATIENCE = Deadlines.HANG;

    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final HostMemory.Block block = memory.allocate("vram", NPAGES);
    private final RecordingPageTable pageTable = new RecordingPageTable();
    private final HostMm mm = new HostMm(pageTable, memory, PATIENCE);
    private final List<VmaFault> asked = new ArrayList<>();

    @AfterEach
    void close() {
        mm.close();
        memory.close();
    }

    @Test
    void notifiersHearOfAZapBeforeTheEntriesGoAndAfter() {
        Vma vma = reserve(pageByPage(Prot.READ_WRITE));
        mm.handleFault(hva(vma, 1), Access.READ);
        List<String> order = new ArrayList<>();
        mm.addNotifier(
                new MmuNotifier() {
                    @Override
                    public void invalidateStart(HvaRange range) {
                        order.add("start " + HostPte.isPresent(mm.lookup(hva(vma, 1))));
                    }

                    @Override
                    public void invalidateEnd(HvaRange range) {
                        order.add("end " + HostPte.isPresent(mm.lookup(hva(vma, 1))));
                    }
                });

        mm.zap(vma.range());

        assertThat(order).containsExactly("start true", "end false");
    }

    /// A thread that revokes pages during the removal of their range must not return before they
    /// are gone.
    @Test
    void aZapOfARangeThatIsBeingRemovedReturnsWhenThePagesAreGone() throws Exception {
        Vma vma = reserve(pageByPage(Prot.READ_WRITE));
        mm.handleFault(hva(vma, 1), Access.READ);
        CountDownLatch removing = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        mm.addNotifier(
                new MmuNotifier() {
                    @Override
                    public void invalidateStart(HvaRange range) {
                        if (range.equals(vma.range())) {
                            removing.countDown();
                            Deadlines.await(goOn);
                        }
                    }

                    @Override
                    public void invalidateEnd(HvaRange range) {}
                });
        var removed = CompletableFuture.runAsync(() -> mm.remove(vma), Thread::startVirtualThread);
        Deadlines.await(removing);

        mm.zap(HvaRange.ofPages(hva(vma, 1), 1));

        assertThat(pageTable.zapped).containsExactly(HvaRange.ofPages(hva(vma, 1), 1));
        goOn.countDown();
        removed.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        assertThat(pageTable.reserved).isEmpty();
    }

    @Test
    void nothingIsMappedOrFoundInARangeThatIsBeingRemoved() {
        Vma lazy = reserve(pageByPage(Prot.READ_WRITE));
        Vma eager = mm.mapEagerly(block.pfns(), Prot.READ_WRITE);
        List<FaultResult> found = new ArrayList<>();
        mm.addNotifier(
                new MmuNotifier() {
                    @Override
                    public void invalidateStart(HvaRange range) {}

                    @Override
                    public void invalidateEnd(HvaRange range) {
                        found.add(mm.handleFault(range.startHva(), Access.READ));
                        assertThat(mm.lookup(range.startHva())).isEqualTo(HostPte.NONE);
                    }
                });

        mm.remove(lazy);
        mm.remove(eager);

        assertThat(found)
                .hasSize(2)
                .allSatisfy(result ->
                        assertThat(result)
                                .isInstanceOfSatisfying(
                                        FaultResult.Failed.class,
                                        failed ->
                                                assertThat(failed.refusal().errno())
                                                        .isEqualTo(Errno.EFAULT)));
        assertThat(asked).isEmpty();
    }

    @Test
    void aZapThatFailsLeavesThePageInTheBooksSoThatItCanBeTriedAgain() {
        Vma vma = reserve(pageByPage(Prot.READ_WRITE));
        mm.handleFault(hva(vma, 1), Access.READ);
        HvaRange page = HvaRange.ofPages(hva(vma, 1), 1);
        pageTable.zapErrno = Errno.ENOMEM;

        assertThatThrownBy(() -> mm.zap(page)).isInstanceOf(MdevException.class);
        assertThat(vma.residentPages()).isOne();
        pageTable.zapErrno = null;
        mm.zap(page);

        assertThat(pageTable.zapped).containsExactly(page);
        assertThat(vma.residentPages()).isZero();
    }

    @Test
    void aRemovalThatFailsCanBeTriedAgain() {
        Vma vma = reserve(pageByPage(Prot.READ_WRITE));
        mm.handleFault(hva(vma, 1), Access.READ);
        pageTable.zapErrno = Errno.ENOMEM;

        assertThatThrownBy(() -> mm.remove(vma)).isInstanceOf(MdevException.class);
        pageTable.zapErrno = null;
        mm.remove(vma);

        assertThat(pageTable.zapped).containsExactly(HvaRange.ofPages(hva(vma, 1), 1));
        assertThat(pageTable.reserved).isEmpty();
    }

    @Test
    void aRangeThatCannotBeMadeIsGivenBackWhateverTheReason() {
        pageTable.holds =
                _ -> {
                    throw new OutOfMemoryError("by the test");
                };

        assertThatThrownBy(() -> mm.mapEagerly(block.pfns(), Prot.READ_WRITE))
                .isInstanceOf(OutOfMemoryError.class);

        assertThat(pageTable.reserved).isEmpty();
    }

    @Test
    void aRemovedRangeIsGoneAndItsAddressesGivenBack() {
        Vma vma = reserve(pageByPage(Prot.READ_WRITE));
        mm.handleFault(hva(vma, 1), Access.READ);

        mm.remove(vma);

        assertThat(mm.handleFault(hva(vma, 1), Access.READ)).isInstanceOf(FaultResult.Failed.class);
        assertThat(pageTable.reserved).isEmpty();
    }

    private Vma reserve(VmaOps ops) {
        return mm.reserve(NPAGES, Prot.READ_WRITE, 0, ops);
    }

    private VmaOps pageByPage(Prot prot) {
        return fault -> {
            asked.add(fault);
            return new Fill.Map(fault.page(), pfns(fault.page(), 1), prot);
        };
    }

    private PfnRange pfns(long first, long npages) {
        return new PfnRange(block.pfns().firstPfn() + first, npages);
    }

    private static long hva(Vma vma, long page) {
        return vma.range().startHva() + Page.addressOf(page);
    }
}
