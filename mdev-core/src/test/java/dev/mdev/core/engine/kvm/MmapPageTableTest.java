package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.engine.kvm.mm.FileMemory;
import dev.mdev.core.engine.kvm.mm.MappedRange;
import dev.mdev.core.engine.kvm.mm.VmaBudget;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.Fill;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.hostmm.HostPageTable;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.hostmm.VmaOps;
import dev.mdev.core.support.Seeded;
import dev.mdev.core.sys.FailingLibc;
import dev.mdev.core.sys.Libc;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.core.sys.UserfaultfdAbi;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;

@RealKvm
public class MmapPageTableTest {
    private static final long NPAGES = 64;
    private static final long LAST_PAGE_AT = Page.addressOf(2 * NPAGES - 1);

    private final FailingLibc failing = new FailingLibc(Syscalls.ofThisProcess().libc());
    private final Machine machine =
            new Machine(2 * NPAGES, new Syscalls(failing.libc()), Machine.PATIENCE, 40_000);
    private final Machine.Cpu cpu = machine.cpu();
    private final List<Long> loaded = new ArrayList<>();

    @TempDir Path directory;

    @AfterEach
    void close() {
        failing.failNothing();
        machine.close();
    }

    @Test
    void grantsInParallelToTheirAddressesNeedNoMappingOfTheirOwn() throws Exception {
        Vma vma = machine.bar(NPAGES, machine.pageByPage(page -> page + 7));
        storeEachPage(NPAGES, 1);
        assertThat(machine.guest.faultCounts().events()).isEqualTo(NPAGES);

        assertThat(range(vma).vmaCount()).isOne();
        assertThat(kernelMappings(vma)).isOne();
        for (int page = 0; page < NPAGES; page++) {
            assertThat(aperture(page + 7)).isEqualTo(1 + page);
        }

        machine.guest.hostMm().zap(pages(vma, 3, 2));
        storeEachPage(NPAGES, 1000);

        assertThat(machine.guest.faultCounts().events()).isEqualTo(NPAGES + 2);
        assertThat(aperture(3 + 7)).isEqualTo(1003);
        assertThat(kernelMappings(vma)).isOne();
    }

    @Test
    void ourCountOfMappingsIsTheKernels() {
        Seeded.run(1, this::mapAndZapAtRandom);
        assertNothingWasEverWritten();
    }

    private void mapAndZapAtRandom(SplittableRandom random) {
        long[] target = new long[(int) NPAGES];
        Vma vma =
                machine.bar(
                        NPAGES,
                        fault ->
                                new Fill.Map(
                                        fault.page(),
                                        new PfnRange(machine.pfn(target[(int) fault.page()]), 1),
                                        fault.access() == Access.READ
                                                ? Prot.READ
                                                : Prot.READ_WRITE));
        for (int step = 0; step < 300; step++) {
            int page = random.nextInt((int) NPAGES);
            switch (random.nextInt(4)) {
                case 0 -> {
                    int npages = 1 + random.nextInt((int) NPAGES - page);
                    machine.guest.hostMm().zap(pages(vma, page, npages));
                }
                case 1 -> loadFrom(page);
                default -> {
                    if (target[page] == 0 || random.nextInt(4) == 0) {
                        machine.guest.hostMm().zap(pages(vma, page, 1));
                        target[page] = page + random.nextInt(3) * (NPAGES / 2);
                    }
                    storeTo(page, step);
                    assertThat(aperture(target[page])).as("step=" + step).isEqualTo(step);
                }
            }
            assertThat(kernelMappings(vma)).as("step=" + step).isEqualTo(range(vma).vmaCount());
        }
        machine.takeOut(vma);
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

    @ParameterizedTest
    @ValueSource(longs = {1L << 31, (1L << 32) + 1})
    void aRangeThatNoSlotCanShowIsRefused(long npages) {
        for (HostPageTable.Kind kind : HostPageTable.Kind.values()) {
            assertThatExceptionOfType(MdevException.class)
                    .isThrownBy(() -> machine.guest.pageTable().reserve(npages, kind))
                    .matches(e -> e.errno() == Errno.ENOMEM);
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
                await(goOn);
            }
            return 0;
        });
        CompletableFuture<Boolean> zap =
                Machine.async(() -> machine.guest.hostMm().zap(vma.range()));
        try {
            await(inKernel);

            assertThat(Machine.get(Machine.async(() -> range(vma).evictableCount())))
                    .isGreaterThan(1);
        } finally {
            goOn.countDown();
        }
        assertThat(Machine.get(zap)).isTrue();
    }

    private static void await(CountDownLatch latch) {
        try {
            assertThat(latch.await(Machine.PATIENCE_SECONDS, TimeUnit.SECONDS)).isTrue();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
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

    @Test
    void whereTheBackdropCannotBeRegisteredAccessesStillFault() {
        Vma vma = machine.bar(NPAGES, machine.pageByPage(page -> page ^ 1));
        storeEachPage(NPAGES, 1);
        failing.fail((function, arguments) ->
                function.equals("ioctl") && (long) arguments[1] == UserfaultfdAbi.UFFDIO_REGISTER
                        ? Errno.ENOMEM.code()
                        : 0);
        machine.guest.hostMm().zap(vma.range());

        storeEachPage(NPAGES, 2000);

        for (int page = 0; page < NPAGES; page++) {
            assertThat(aperture(page ^ 1)).isEqualTo(2000 + page);
        }
        assertNothingWasEverWritten();
    }

    @Test
    void whereTheBackdropCannotBeRegisteredAnAccessFromAHoleFindsThePageToo() {
        Vma vma = machine.bar(NPAGES, machine.pageByPage(page -> page ^ 1));
        storeEachPage(NPAGES, 0x0807_0605_0403_0201L);
        failing.fail((function, arguments) ->
                function.equals("ioctl") && (long) arguments[1] == UserfaultfdAbi.UFFDIO_REGISTER
                        ? Errno.ENOMEM.code()
                        : 0);
        machine.guest.hostMm().zap(vma.range());
        long gpa = Machine.gpa(0) - 4;

        assertThat(cpu.load(gpa, 8, loaded)).isEqualTo(new VcpuExit.MmioRead(gpa, 4));
        cpu.vcpu.completeMmioRead(0x1111_1111);
        assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());

        assertThat(loaded).containsExactly(0x0403_0201_1111_1111L);
    }

    private final AtomicBoolean deny = new AtomicBoolean();

    @Test
    void someoneElsesAccessIsServedAndOneInVainEndsInAnError() {
        checkSomeoneElsesAccesses();
    }

    private void checkSomeoneElsesAccesses() {
        VmaOps granted = machine.pageByPage(page -> page);
        Vma vma =
                machine.bar(
                        NPAGES,
                        fault ->
                                deny.get() && fault.page() == 9
                                        ? new FaultResult.Failed(Errno.EACCES, "denied")
                                        : granted.fault(fault));
        machine.aperture.segment().set(ValueLayout.JAVA_LONG, Page.addressOf(8), 77);
        deny.set(true);
        Libc libc = Syscalls.ofThisProcess().libc();
        try (NativeFd file = Syscalls.ofThisProcess().memfd("copy", Page.SIZE)) {
            assertThat(libc.write(file.number(), hva(vma, 8), 8)).isEqualTo(8);
            assertThat(libc.write(file.number(), hva(vma, 9), 8)).isEqualTo(-1);
            assertThat(libc.errno()).isEqualTo(Errno.EFAULT.code());
        }
        assertThat(machine.guest.faultCounts().poisoned()).isOne();

        assertThat(cpu.store(Machine.gpa(9), 8, 5))
                .as("a virtual processor is told why, not that the page is broken")
                .isEqualTo(
                        new VcpuExit.Fault(
                                Machine.gpa(9), Access.WRITE, new Refusal(Errno.EACCES, "denied")));
        deny.set(false);
        assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());
        assertThat(aperture(9)).isEqualTo(5);
        assertThat(machine.guest.faultCounts().broken()).isZero();
    }

    @Test
    void withoutPoisonAPageWithoutRightsServesAsWell() {
        failing.fail((function, arguments) ->
                function.equals("ioctl") && (long) arguments[1] == UserfaultfdAbi.UFFDIO_POISON
                        ? Errno.EINVAL.code()
                        : 0);
        checkSomeoneElsesAccesses();
    }

    @Test
    void memoryThatIsAFileOnDiskIsMappedToo() throws Exception {
        Path file = directory.resolve("resource0");
        try (RandomAccessFile grown = new RandomAccessFile(file.toFile(), "rw")) {
            grown.setLength(Page.addressOf(NPAGES));
        }
        try (HostMemory disk = new HostMemory(new FileMemory(file))) {
            HostMemory.Block block = disk.allocate("bar", NPAGES);
            KvmGuest guest = new KvmEngine(Machine.PATIENCE).createGuest(machine.slots, disk);
            HostMm mm = guest.hostMm();
            Vma vma =
                    mm.reserve(
                            NPAGES,
                            Prot.READ_WRITE,
                            0,
                            fault ->
                                    new Fill.Map(
                                            fault.page(),
                                            new PfnRange(block.pfns().firstPfn() + fault.page(), 1),
                                            Prot.READ_WRITE));
            machine.show(vma, Machine.BAR_GPA, 0);
            try (Machine.Cpu vcpu = new Machine.Cpu(guest.createVcpu(0))) {
                for (int round = 0; round < 2; round++) {
                    for (int page = 0; page < NPAGES; page++) {
                        assertThat(vcpu.store(Machine.gpa(page), 8, round * 100 + page))
                                .isEqualTo(new VcpuExit.Done());
                    }
                    mm.zap(vma.range());
                }
                assertThat(guest.faultCounts().events()).isEqualTo(2 * NPAGES);
                assertThat(block.segment().get(ValueLayout.JAVA_LONG, Page.addressOf(9)))
                        .isEqualTo(109);
            }
            guest.close();
        }
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

    private void storeTo(int page, long value) {
        assertThat(cpu.store(Machine.gpa(page), 8, value)).isEqualTo(new VcpuExit.Done());
    }

    private void loadFrom(int page) {
        assertThat(cpu.load(Machine.gpa(page), 8, loaded)).isEqualTo(new VcpuExit.Done());
    }

    private long aperture(long page) {
        return machine.aperture.segment().get(ValueLayout.JAVA_LONG, Page.addressOf(page));
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

    private static List<String> lines(Path file) {
        try {
            return Files.readAllLines(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// The kernel's view: lines of `/proc/self/maps` in the range.
    private static int kernelMappings(Vma vma) {
        int count = 0;
        for (String line : lines(Path.of("/proc/self/maps"))) {
            int dash = line.indexOf('-');
            long start = Long.parseUnsignedLong(line.substring(0, dash), 16);
            long end = Long.parseUnsignedLong(line.substring(dash + 1, line.indexOf(' ')), 16);
            count += start < vma.range().endHva() && end > vma.range().startHva() ? 1 : 0;
        }
        return count;
    }

    /// No access ever fell through to the file behind ranges that are not granted.
    private void assertNothingWasEverWritten() {
        assertThat(allocatedBlocks(machine.guest.pageTable().nothing())).isEqualTo("0");
    }

    public static String allocatedBlocks(NativeFd fd) {
        try {
            Process stat =
                    new ProcessBuilder(
                                    "stat",
                                    "-L",
                                    "-c",
                                    "%b",
                                    "/proc/%d/fd/%d"
                                            .formatted(ProcessHandle.current().pid(), fd.number()))
                            .start();
            return new String(stat.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }
}
