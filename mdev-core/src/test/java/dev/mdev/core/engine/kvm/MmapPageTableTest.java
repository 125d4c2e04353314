package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.FilePages;
import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.engine.kvm.mm.MappedRange;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.hostfile.DeviceFile;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.Fill;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.hostmm.HostPageTable;
import dev.mdev.core.hostmm.JoinedBlocks;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.hostmm.VmaOps;
import dev.mdev.core.support.Seeded;
import dev.mdev.core.sys.FailingLibc;
import dev.mdev.core.sys.Libc;
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
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;

@RealKvm
public class MmapPageTableTest {
    private static final long NPAGES = 64;

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
        Map<Long, Access> asked = new ConcurrentHashMap<>();
        Vma vma =
                machine.bar(
                        NPAGES,
                        fault -> {
                            asked.put(fault.page(), fault.access());
                            return deny.get() && fault.page() == 9
                                    ? new FaultResult.Failed(Errno.EACCES, "denied")
                                    : granted.fault(fault);
                        });
        machine.aperture.segment().set(ValueLayout.JAVA_LONG, Page.addressOf(8), 77);
        deny.set(true);
        Libc libc = Syscalls.ofThisProcess().libc();
        try (NativeFd file = Syscalls.ofThisProcess().memfd("copy", Page.SIZE)) {
            assertThat(libc.write(file.number(), hva(vma, 8), 8)).isEqualTo(8);
            assertThat(libc.write(file.number(), hva(vma, 9), 8)).isEqualTo(-1);
            assertThat(libc.errno()).isEqualTo(Errno.EFAULT.code());
            // The file has the bytes after those that are written.
            assertThat(libc.read(file.number(), hva(vma, 10), 8)).isEqualTo(8);
        }
        assertThat(asked)
                .as(
                        "the kernel loads from pages that it writes to a file, and stores what it"
                                + " reads")
                .containsOnly(
                        Map.entry(8L, Access.READ),
                        Map.entry(9L, Access.READ),
                        Map.entry(10L, Access.WRITE));
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
        try (HostMemory disk = new HostMemory(new MemfdMemory())) {
            Aperture block = new JoinedBlocks(disk.adoptAll("bar", filePages(file)));
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
                assertThat(block.load(Page.addressOf(9), 8)).isEqualTo(109);
            }
            guest.close();
        }
    }

    private static List<HostMemory.Part> filePages(Path file) {
        return DeviceFile.open(Syscalls.ofThisProcess(), List.of(new FilePages(file, 0, NPAGES)));
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
