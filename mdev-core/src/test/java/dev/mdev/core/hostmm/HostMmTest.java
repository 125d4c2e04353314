package dev.mdev.core.hostmm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.ObjIntConsumer;

@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class HostMmTest {
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
    void reservingMapsNothingAndTheFirstTouchAsksForExactlyThatPage() {
        Vma vma = reserve(pageByPage(Prot.READ_WRITE));

        assertThat(vma.residentPages()).isZero();
        assertThat(mm.handleFault(hva(vma, 3), Access.READ)).isInstanceOf(FaultResult.Mapped.class);

        assertThat(asked)
                .containsExactly(new VmaFault(3, 0, NPAGES, Access.READ, VmaFault.Reason.ABSENT));
        assertThat(mm.lookup(hva(vma, 3)))
                .isEqualTo(HostPte.of(block.pfns().firstPfn() + 3, Prot.READ_WRITE));
        assertThat(vma.residentPages()).isOne();
        assertThat(pageTable.mapped).containsExactly(new PfnRange(block.pfns().firstPfn() + 3, 1));
    }

    @Test
    void aPageThatIsMappedIsNotAskedForAgainUntilItIsZapped() {
        Vma vma = reserve(pageByPage(Prot.READ_WRITE));
        mm.handleFault(hva(vma, 3), Access.READ);
        mm.handleFault(hva(vma, 3), Access.WRITE);
        assertThat(asked).hasSize(1);

        mm.zap(HvaRange.ofPages(hva(vma, 3), 1));

        assertThat(mm.lookup(hva(vma, 3))).isEqualTo(HostPte.NONE);
        mm.handleFault(hva(vma, 3), Access.WRITE);
        assertThat(asked).hasSize(2);
    }

    @Test
    void aWriteToAReadOnlyPageZapsItAndAsksForAnUpgrade() {
        Vma vma =
                reserve(fault -> {
                    asked.add(fault);
                    Prot prot = fault.access() == Access.READ ? Prot.READ : Prot.READ_WRITE;
                    return new Fill.Map(fault.page(), pfns(fault.page(), 1), prot);
                });
        mm.handleFault(hva(vma, 0), Access.READ);
        mm.handleFault(hva(vma, 0), Access.WRITE);

        assertThat(asked.get(1).reason()).isEqualTo(VmaFault.Reason.UPGRADE);
        assertThat(HostPte.prot(mm.lookup(hva(vma, 0)))).isEqualTo(Prot.READ_WRITE);
        assertThat(pageTable.zapped).containsExactly(HvaRange.ofPages(hva(vma, 0), 1));
    }

    @Test
    void populatingAsksForEachPageThatIsAbsentAndSaysThatNoGuestWaits() {
        Vma vma = reserve(pageByPage(Prot.READ_WRITE));
        mm.handleFault(hva(vma, 3), Access.READ);
        asked.clear();

        mm.populate(vma);

        assertThat(vma.residentPages()).isEqualTo(NPAGES);
        assertThat(asked).hasSize((int) NPAGES - 1).extracting(VmaFault::page).doesNotContain(3L);
        assertThat(asked).extracting(VmaFault::reason).containsOnly(VmaFault.Reason.POPULATE);
    }

    @Test
    void aRangeGrantFillsOnlyWhatIsAbsent() {
        Vma vma = reserve(wholeUnlessPageTwo());
        mm.handleFault(hva(vma, 2), Access.READ);
        mm.handleFault(hva(vma, 5), Access.READ);

        assertThat(HostPte.pfn(mm.lookup(hva(vma, 2)))).isEqualTo(block.pfns().firstPfn() + 40);
        assertThat(HostPte.pfn(mm.lookup(hva(vma, 7)))).isEqualTo(block.pfns().firstPfn() + 7);
        assertThat(pageTable.mapped).containsExactly(pfns(40, 1), pfns(3, 5), pfns(0, 2));
        assertThat(vma.residentPages()).isEqualTo(8);
    }

    @Test
    void anAnswerThatIsRevokedFromInsideTheCallbackIsAskedForAgain() {
        int calls =
                callsOfFault(
                        16,
                        (vma, call) -> {
                            if (call == 1) {
                                mm.zap(vma.range());
                            }
                        });
        assertThat(calls).isEqualTo(2);
    }

    @Test
    void evictingOtherPagesFromInsideTheCallbackDoesNotAskAgain() {
        int calls =
                callsOfFault(
                        16,
                        (vma, _) -> {
                            mm.zap(HvaRange.ofPages(hva(vma, 0), 8));
                            mm.zap(HvaRange.ofPages(hva(vma, 32), 8));
                        });
        assertThat(calls).isOne();
    }

    /// A guest may choose the address that its device reads while it decides about a page.
    @Test
    void aFaultOnThePageWhoseFaultThisThreadAnswersFailsAtOnce() {
        List<FaultResult> nested = new ArrayList<>();

        int calls =
                callsOfFault(
                        16, (vma, _) -> nested.add(mm.handleFault(hva(vma, 16), Access.WRITE)));

        assertThat(calls).isOne();
        assertThat(nested)
                .singleElement()
                .isInstanceOfSatisfying(
                        FaultResult.Failed.class,
                        failed -> assertThat(failed.refusal().errno()).isEqualTo(Errno.EDEADLK));
    }

    /// Touches a page whose owner does something before it answers.
    ///
    /// @param inside gets which call of the owner it is, from 1
    /// @return how often the owner was asked
    private int callsOfFault(long page, ObjIntConsumer<Vma> inside) {
        AtomicInteger calls = new AtomicInteger();
        Vma[] self = new Vma[1];
        self[0] =
                reserve(fault -> {
                    inside.accept(self[0], calls.incrementAndGet());
                    return new Fill.Map(fault.page(), pfns(fault.page(), 1), Prot.READ);
                });
        assertThat(mm.handleFault(hva(self[0], page), Access.READ))
                .isInstanceOf(FaultResult.Mapped.class);
        return calls.get();
    }

    @Test
    void anOwnerThatAlwaysRevokesItsOwnAnswerFailsTheAccessRatherThanHang() {
        HostMm impatient = new HostMm(pageTable, memory, Duration.ofMillis(50));
        Vma[] self = new Vma[1];
        self[0] =
                impatient.reserve(
                        NPAGES,
                        Prot.READ_WRITE,
                        0,
                        fault -> {
                            impatient.zap(self[0].range());
                            return new Fill.Map(fault.page(), pfns(fault.page(), 1), Prot.READ);
                        });

        assertThat(impatient.handleFault(hva(self[0], 1), Access.READ))
                .isInstanceOfSatisfying(
                        FaultResult.Failed.class,
                        failed -> assertThat(failed.refusal().errno()).isEqualTo(Errno.EAGAIN));
        impatient.close();
    }

    @Test
    void faultsOnOnePageAtTheSameTimeAskOnce() throws Exception {
        CountDownLatch inside = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        AtomicInteger calls = new AtomicInteger();
        Vma vma =
                reserve(fault -> {
                    calls.incrementAndGet();
                    inside.countDown();
                    Deadlines.await(goOn);
                    return new Fill.Map(fault.page(), pfns(fault.page(), 1), Prot.READ);
                });
        var first =
                CompletableFuture.supplyAsync(
                        () -> mm.handleFault(hva(vma, 1), Access.READ), Thread::startVirtualThread);
        Deadlines.await(inside);
        CountDownLatch secondStarted = new CountDownLatch(1);
        var second =
                CompletableFuture.supplyAsync(() -> {
                    secondStarted.countDown();
                    return mm.handleFault(hva(vma, 1), Access.READ);
                });
        Deadlines.await(secondStarted);
        goOn.countDown();

        assertThat(first.get(PATIENCE.toSeconds(), TimeUnit.SECONDS))
                .isInstanceOf(FaultResult.Mapped.class);
        assertThat(second.get(PATIENCE.toSeconds(), TimeUnit.SECONDS))
                .isInstanceOf(FaultResult.Mapped.class);
        assertThat(calls).hasValue(1);
    }

    @Test
    void anOwnerThatThrowsReleasesThoseWhoWait() {
        Vma vma =
                reserve(fault -> {
                    throw new IllegalStateException("bug");
                });
        for (int i = 0; i < 2; i++) {
            assertThatThrownBy(() -> mm.handleFault(hva(vma, 1), Access.READ)).hasMessage("bug");
        }
    }

    @Test
    void aMappingTheEngineCannotHoldFailsTheAccess() {
        Vma vma = reserve(pageByPage(Prot.READ_WRITE));
        pageTable.holds = _ -> false;

        assertThat(mm.handleFault(hva(vma, 1), Access.READ))
                .isInstanceOfSatisfying(
                        FaultResult.Failed.class,
                        failed -> assertThat(failed.refusal().errno()).isEqualTo(Errno.ENOMEM));
        assertThat(vma.residentPages()).isZero();
    }

    /// Mapping ahead never fails an access.
    @Test
    void pagesBesideTheTouchedOneThatTheEngineCannotHoldAreLeftOut() {
        for (long touched : new long[] {1, 5}) {
            Vma vma = reserve(wholeUnlessPageTwo());
            mm.handleFault(hva(vma, 2), Access.READ);
            PfnRange held = touched == 1 ? pfns(0, 2) : pfns(3, 5);
            pageTable.holds = held::equals;

            assertThat(mm.handleFault(hva(vma, touched), Access.READ))
                    .isInstanceOf(FaultResult.Mapped.class);

            assertThat(mm.lookup(hva(vma, touched)))
                    .isEqualTo(HostPte.of(block.pfns().firstPfn() + touched, Prot.READ_WRITE));
            assertThat(vma.residentPages()).isEqualTo(1 + held.npages());
            pageTable.holds = _ -> true;
        }
    }

    @Test
    void aRunThatTheEngineCannotHoldIsCutToTheTouchedPage() {
        Vma vma = reserve(wholeUnlessPageTwo());
        pageTable.holds = pfns -> pfns.npages() == 1;

        assertThat(mm.handleFault(hva(vma, 5), Access.READ)).isInstanceOf(FaultResult.Mapped.class);

        assertThat(mm.lookup(hva(vma, 5)))
                .isEqualTo(HostPte.of(block.pfns().firstPfn() + 5, Prot.READ_WRITE));
        assertThat(vma.residentPages()).isOne();
    }

    @Test
    void accessesWhereNothingIsReservedOrNotAllowedFail() {
        Vma vma = mm.reserve(NPAGES, Prot.READ, 0, pageByPage(Prot.READ));

        assertThat(mm.handleFault(0x1000, Access.READ))
                .isInstanceOfSatisfying(
                        FaultResult.Failed.class,
                        failed -> assertThat(failed.refusal().errno()).isEqualTo(Errno.EFAULT));
        assertThat(mm.handleFault(hva(vma, 0), Access.WRITE))
                .isInstanceOfSatisfying(
                        FaultResult.Failed.class,
                        failed -> assertThat(failed.refusal().errno()).isEqualTo(Errno.EFAULT));
        assertThat(asked).isEmpty();
    }

    @Test
    void copiesCrossPagesAndFaultThemIn() {
        Vma vma = reserve(pageByPage(Prot.READ_WRITE));
        byte[] bytes = new byte[3 * Page.SIZE];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) (i * 31);
        }

        assertThat(mm.copyTo(hva(vma, 1) + 100, MemorySegment.ofArray(bytes))).isNull();

        byte[] back = new byte[bytes.length];
        assertThat(mm.copyFrom(hva(vma, 1) + 100, MemorySegment.ofArray(back))).isNull();
        assertThat(back).isEqualTo(bytes);
        assertThat(block.segment().get(ValueLayout.JAVA_BYTE, Page.SIZE + 100)).isEqualTo(bytes[0]);
        assertThat(vma.residentPages()).isEqualTo(4);
    }

    @Test
    void anEagerRangeIsMappedAtOnce() {
        Vma vma = mm.mapEagerly(block.pfns(), Prot.READ_WRITE);

        assertThat(vma.residentPages()).isEqualTo(NPAGES);
        assertThat(HostPte.pfn(mm.lookup(hva(vma, 9)))).isEqualTo(block.pfns().firstPfn() + 9);
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

    /// Grants the first eight pages together, but page 2 alone and elsewhere.
    private VmaOps wholeUnlessPageTwo() {
        return fault ->
                fault.page() == 2
                        ? new Fill.Map(2, pfns(40, 1), Prot.READ_WRITE)
                        : new Fill.Map(0, pfns(0, 8), Prot.READ_WRITE);
    }

    private PfnRange pfns(long first, long npages) {
        return new PfnRange(block.pfns().firstPfn() + first, npages);
    }

    private static long hva(Vma vma, long page) {
        return vma.range().startHva() + Page.addressOf(page);
    }
}
