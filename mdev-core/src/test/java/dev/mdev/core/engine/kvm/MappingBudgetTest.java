package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.engine.kvm.mm.MappedRange;
import dev.mdev.core.engine.kvm.mm.VmaBudget;
import dev.mdev.core.hostmm.Fill;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.hostmm.VmaOps;
import dev.mdev.core.sys.FailingLibc;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;

/// A page table that runs out of mappings.
@RealKvm
public class MappingBudgetTest {
    private static final long NPAGES = 64;
    private static final long LAST_PAGE_AT = Page.addressOf(2 * NPAGES - 1);

    private final FailingLibc failing = new FailingLibc(Syscalls.ofThisProcess().libc());
    private final Machine machine =
            new Machine(2 * NPAGES, new Syscalls(failing.libc()), Machine.PATIENCE, 40_000);
    private final Machine.Cpu cpu = machine.cpu();
    private final List<Long> loaded = new ArrayList<>();

    @AfterEach
    void close() {
        failing.failNothing();
        machine.close();
    }

    @Test
    void pastTheBudgetOtherMappingsMakeRoomAndComeBackWhenTheyAreTouched() {
        pastTheBudgetPagesComeBack(page -> 2 * NPAGES - 1 - page);
    }

    /// The first two pages are entered into the backdrop: they have no mapping to give up, but lose
    /// their place when the backdrop is shown again.
    @Test
    void pastTheBudgetPagesInTheBackdropComeBackToo() {
        pastTheBudgetPagesComeBack(page -> page < 2 ? page : 2 * NPAGES - 1 - page);
    }

    private static void pastTheBudgetPagesComeBack(Function<Long, Long> placement) {
        try (Machine small =
                new Machine(2 * NPAGES, Syscalls.ofThisProcess(), Machine.PATIENCE, 20)) {
            Machine.Cpu vcpu = small.cpu();
            List<Long> asked = new ArrayList<>();
            // Backwards, so that no two neighbours merge.
            VmaOps owner = small.pageByPage(placement);
            Vma vma =
                    small.bar(
                            NPAGES,
                            fault -> {
                                asked.add(fault.page());
                                return owner.fault(fault);
                            });
            for (int round = 0; round < 3; round++) {
                for (int page = 0; page < NPAGES; page++) {
                    assertThat(vcpu.store(Machine.gpa(page) + round * 8L, 8, page + 1))
                            .isEqualTo(new VcpuExit.Done());
                    assertThat(small.guest.pageTable().rangeAt(vma.range().startHva()).vmaCount())
                            .isLessThanOrEqualTo(20);
                }
            }
            for (int page = 0; page < NPAGES; page++) {
                for (int round = 0; round < 3; round++) {
                    long at = Page.addressOf(placement.apply((long) page)) + round * 8L;
                    assertThat(small.aperture.segment().get(ValueLayout.JAVA_LONG, at))
                            .isEqualTo(page + 1);
                }
            }
            assertThat(asked).as("the owner is asked once a page").hasSize((int) NPAGES);
            assertThat(vma.residentPages()).isEqualTo(NPAGES);
            assertThat(small.guest.faultCounts().evictedMappings()).isGreaterThan(NPAGES);
        }
    }

    /// When the kernel has no room either, whole mappings are given up; here that is what was to be
    /// given up anyway.
    @Test
    void pastTheBudgetPagesComeBackAlsoIfTheKernelHasNoRoom() {
        try (Machine small =
                new Machine(2 * NPAGES, new Syscalls(failing.libc()), Machine.PATIENCE, 20)) {
            Machine.Cpu vcpu = small.cpu();
            small.bar(NPAGES, small.pageByPage(page -> 2 * NPAGES - 1 - page));
            AtomicBoolean refused = new AtomicBoolean();
            failing.fail((function, arguments) ->
                    function.equals("mmap")
                                    && (int) arguments[2] == LinuxAbi.PROT_NONE
                                    && small.guest.faultCounts().evictedMappings() == 0
                                    && small.aperture
                                                    .segment()
                                                    .get(ValueLayout.JAVA_LONG, LAST_PAGE_AT)
                                            != 0
                                    && refused.compareAndSet(false, true)
                            ? Errno.ENOMEM.code()
                            : 0);
            for (int round = 1; round <= 2; round++) {
                for (int page = 0; page < NPAGES; page++) {
                    assertThat(vcpu.store(Machine.gpa(page), 8, round))
                            .as("round=%d page=%d", round, page)
                            .isEqualTo(new VcpuExit.Done());
                }
            }
            assertThat(refused).isTrue();
        }
    }

    @Test
    void whereNobodyCanGiveAMappingBackTheAccessFails() {
        try (Machine small =
                new Machine(2 * NPAGES, Syscalls.ofThisProcess(), Machine.PATIENCE, 1)) {
            Machine.Cpu vcpu = small.cpu();
            Vma vma = small.bar(NPAGES, small.pageByPage(page -> 2 * NPAGES - 1 - page));

            assertThat(vcpu.store(Machine.gpa(3), 8, 1))
                    .isInstanceOfSatisfying(
                            VcpuExit.Fault.class,
                            fault -> {
                                assertThat(fault.refusal().errno()).isEqualTo(Errno.ENOMEM);
                                assertThat(fault.refusal().reason()).contains("limit=1");
                            });
            assertThat(vma.residentPages()).isZero();
        }
    }

    @Test
    void aMachineWithManyMappingsDoesNotKeepAnotherFromWorking() {
        Syscalls sys = Syscalls.ofThisProcess();
        VmaBudget budget = new VmaBudget(20);
        try (Machine greedy = new Machine(2 * NPAGES, sys, Machine.PATIENCE, budget);
                Machine other = new Machine(2 * NPAGES, sys, Machine.PATIENCE, budget)) {
            var _ = greedy.bar(NPAGES, greedy.pageByPage(page -> 2 * NPAGES - 1 - page));
            Machine.Cpu vcpu = greedy.cpu();
            for (int page = 0; page < NPAGES; page++) {
                assertThat(vcpu.store(Machine.gpa(page), 8, 1)).isEqualTo(new VcpuExit.Done());
            }
            var _ = other.bar(NPAGES, other.pageByPage(page -> 2 * NPAGES - 1 - page));
            Machine.Cpu second = other.cpu();
            for (int page = 0; page < NPAGES; page++) {
                assertThat(second.store(Machine.gpa(page), 8, 1)).isEqualTo(new VcpuExit.Done());
            }
            assertThat(budget.used()).isLessThanOrEqualTo(budget.limit());
        }
        assertThat(budget.used()).isZero();
    }

    @Test
    void whoLooksForRoomWaitsForNoRange() throws Exception {
        Vma vma = machine.bar(NPAGES, machine.pageByPage(page -> page ^ 1));
        storeEachPage(NPAGES, 1);
        CountDownLatch inKernel = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        failing.fail((function, _) -> {
            if (function.equals("mmap")) {
                inKernel.countDown();
                Deadlines.await(goOn);
            }
            return 0;
        });
        CompletableFuture<Boolean> zap =
                Machine.async(() -> machine.guest.hostMm().zap(vma.range()));
        try {
            Deadlines.await(inKernel);

            assertThat(Machine.get(Machine.async(() -> range(vma).evictableCount())))
                    .isGreaterThan(1);
        } finally {
            goOn.countDown();
        }
        assertThat(Machine.get(zap)).isTrue();
    }

    @Test
    void aZapFindsRoomEvenWhenTheKernelHasNoneAndTheNeighboursComeBack() {
        // The first grant is read-only, so that the range does not adopt the block.
        Vma vma =
                machine.bar(
                        NPAGES,
                        fault ->
                                fault.access() == Access.READ
                                        ? new Fill.Map(
                                                fault.page(),
                                                new PfnRange(machine.pfn(fault.page()), 1),
                                                Prot.READ)
                                        : new Fill.Map(
                                                0,
                                                new PfnRange(machine.pfn(0), NPAGES),
                                                Prot.READ_WRITE));
        loadFrom(0);
        machine.guest.hostMm().zap(vma.range());
        storeEachPage(NPAGES, 500);
        loaded.clear();
        assertThat(range(vma).vmaCount()).isOne();
        refuseMappingsWithin(vma);

        machine.guest.hostMm().zap(pages(vma, 10, 1));
        failing.failNothing();

        assertThat(range(vma).evictedPages()).isEqualTo(NPAGES - 1);
        assertThat(vma.residentPages()).isEqualTo(NPAGES - 1);
        long events = machine.guest.faultCounts().events();
        for (int page = 0; page < NPAGES; page++) {
            loadFrom(page);
        }
        assertThat(loaded).hasSize((int) NPAGES).startsWith(500L, 501L).endsWith(563L);
        assertThat(machine.guest.faultCounts().events()).isGreaterThan(events);
        assertThat(range(vma).evictedPages()).isZero();
    }

    /// The kernel's `mmap` fails with ENOMEM where it would have to cut a mapping and has no room.
    private void refuseMappingsWithin(Vma vma) {
        failing.fail((function, arguments) ->
                function.equals("mmap")
                                && (long) arguments[0] > vma.range().startHva()
                                && (long) arguments[0] < vma.range().endHva()
                        ? Errno.ENOMEM.code()
                        : 0);
    }

    private void storeEachPage(long npages, long value) {
        assertThat(
                        cpu.run(
                                new GuestAccess.Store(
                                        new GuestAccess.Span(Machine.gpa(0), 8, npages, Page.SIZE),
                                        value,
                                        1)))
                .isEqualTo(new VcpuExit.Done());
    }

    private void loadFrom(int page) {
        assertThat(cpu.load(Machine.gpa(page), 8, loaded)).isEqualTo(new VcpuExit.Done());
    }

    private MappedRange range(Vma vma) {
        return machine.guest.pageTable().rangeAt(vma.range().startHva());
    }

    private static long hva(Vma vma, long page) {
        return vma.range().startHva() + Page.addressOf(page);
    }

    private static HvaRange pages(Vma vma, long first, long npages) {
        return HvaRange.ofPages(hva(vma, first), npages);
    }
}
