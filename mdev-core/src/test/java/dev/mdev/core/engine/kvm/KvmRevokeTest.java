package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.engine.kvm.mm.KvmFaultCounts;
import dev.mdev.core.hostmm.Fill;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.hostmm.VmaFault;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotChange;
import dev.mdev.core.memslot.SlotListener;
import dev.mdev.core.support.Seeded;
import dev.mdev.core.support.Together;
import dev.mdev.core.sys.FailingLibc;
import dev.mdev.core.sys.KvmVcpuAbi;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;

/// Zaps against virtual processors that write, and ends of everything in the middle of a fault.
@RealKvm
class KvmRevokeTest {
    private static final int NPAGES = 32;
    private static final int MAX_PAUSE_NANOS = 200_000;
    private static final int ROUNDS = Integer.getInteger("mdev.kvm.rounds", 400);

    /// How pages of the region go to pages of the aperture.
    enum Placement {
        /// In parallel: entered by `UFFDIO_CONTINUE`.
        PARALLEL,
        /// Each alone: mapped by `mmap`.
        SCATTERED,
        /// Read-only until they are written.
        UPGRADED;

        long page(long page) {
            return this == PARALLEL ? page : (page * 7 + 3) % NPAGES;
        }

        Prot prot(VmaFault fault) {
            return this == UPGRADED && fault.access() == Access.READ ? Prot.READ : Prot.READ_WRITE;
        }
    }

    /// Each of two processors counts up its own cell of every page; each store must be in memory
    /// when the processor reports it, regardless of zaps.
    @ParameterizedTest
    @EnumSource(Placement.class)
    void noStoreIsLostInAStormOfZaps(Placement placement) {
        Seeded.run(1, random -> storm(placement, random));
    }

    private static void storm(Placement placement, SplittableRandom random) {
        try (Machine machine = new Machine(NPAGES)) {
            Vma vma =
                    machine.bar(
                            NPAGES,
                            fault ->
                                    new Fill.Map(
                                            fault.page(),
                                            new PfnRange(
                                                    machine.pfn(placement.page(fault.page())), 1),
                                            placement.prot(fault)));
            AtomicBoolean stop = new AtomicBoolean();
            AtomicLong zaps = new AtomicLong();
            CompletableFuture<Boolean> zapping = zapUntil(stop, zaps, machine, vma, random.split());
            List<CompletableFuture<Boolean>> writers = new ArrayList<>();
            for (int i = 0; i < 2; i++) {
                Cell cell = new Cell(machine, machine.cpu(), i, placement);
                SplittableRandom own = random.split();
                writers.add(Machine.async(() -> cell.countUp(zaps, own)));
            }
            for (CompletableFuture<Boolean> writer : writers) {
                Machine.get(writer);
            }
            stop.set(true);
            Machine.get(zapping);

            assertThat(MmapPageTableTest.allocatedBlocks(machine.guest.pageTable().nothing()))
                    .as("pages that fell through to the backdrop")
                    .isEqualTo("0");
            KvmFaultCounts counts = machine.guest.faultCounts();
            assertThat(counts.events()).isGreaterThan(NPAGES);
            assertThat(counts.overdue() + counts.internalErrors() + counts.broken()).isZero();
        }
    }

    private static CompletableFuture<Boolean> zapUntil(
            AtomicBoolean stop,
            AtomicLong zaps,
            Machine machine,
            Vma vma,
            SplittableRandom random) {
        return Machine.async(() -> {
            while (!stop.get()) {
                int first = random.nextInt(NPAGES);
                int npages = 1 + random.nextInt(NPAGES - first);
                machine.guest.hostMm().zap(pages(vma, first, npages));
                zaps.incrementAndGet();
                // Without a pause nothing is ever mapped for long enough to be touched.
                LockSupport.parkNanos(random.nextInt(MAX_PAUSE_NANOS));
            }
        });
    }

    /// What one processor counts up.
    private record Cell(Machine machine, Machine.Cpu cpu, int index, Placement placement) {
        /// Until it was done often, and often disturbed.
        void countUp(AtomicLong zaps, SplittableRandom random) {
            long[] last = new long[NPAGES];
            for (int round = 1; round <= ROUNDS || zaps.get() < ROUNDS; round++) {
                int first = random.nextInt(NPAGES);
                int npages = 1 + random.nextInt(NPAGES - first);
                GuestAccess.Span span =
                        new GuestAccess.Span(Machine.gpa(first) + index * 8L, 8, npages, Page.SIZE);
                List<Long> loaded = new ArrayList<>();
                assertThat(cpu.load(span, loaded)).isEqualTo(new VcpuExit.Done());
                for (int i = 0; i < npages; i++) {
                    assertThat(loaded.get(i)).isEqualTo(last[first + i]);
                }
                assertThat(cpu.run(new GuestAccess.Store(span, round, 0)))
                        .isEqualTo(new VcpuExit.Done());
                for (int page = first; page < first + npages; page++) {
                    last[page] = round;
                    long at = Page.addressOf(placement.page(page)) + index * 8L;
                    assertThat(machine.aperture.segment().get(ValueLayout.JAVA_LONG, at))
                            .isEqualTo(round);
                }
            }
        }
    }

    /// A page moves between two physical pages, each time by a zap; the old page must not change
    /// any more, though a processor writes to the page all the time.
    @ParameterizedTest
    @EnumSource(
            value = Placement.class,
            names = {"PARALLEL", "SCATTERED"})
    void afterAZapNoStoreReachesTheOldPage(Placement placement) throws Exception {
        try (Machine machine = new Machine(2 * NPAGES)) {
            AtomicInteger epoch = new AtomicInteger();
            Vma vma =
                    machine.bar(
                            NPAGES,
                            fault -> {
                                long half = (epoch.get() & 1) * (long) NPAGES;
                                return new Fill.Map(
                                        fault.page(),
                                        new PfnRange(
                                                machine.pfn(half + placement.page(fault.page())),
                                                1),
                                        Prot.READ_WRITE);
                            });
            Machine.Cpu cpu = machine.cpu();
            long many = Long.MAX_VALUE >> 8;
            var running =
                    cpu.start(
                            new GuestAccess.Store(
                                    new GuestAccess.Span(Machine.gpa(5), 8, many, 0), 1, 1));
            long page = placement.page(5);
            for (int round = 0; round < ROUNDS; round++) {
                long old = Page.addressOf((epoch.get() & 1) * (long) NPAGES + page);
                long next = Page.addressOf(((epoch.get() + 1) & 1) * (long) NPAGES + page);
                long before = read(machine, next);
                epoch.incrementAndGet();
                machine.guest.hostMm().zap(pages(vma, 5, 1));
                long left = read(machine, old);
                Together.await("a store arrives", () -> read(machine, next) != before);
                assertThat(read(machine, old)).as("round=" + round).isEqualTo(left);
                assertThat(read(machine, next)).isGreaterThanOrEqualTo(left);
            }
            cpu.vcpu.kick();
            assertThat(Machine.get(running)).isEqualTo(new VcpuExit.Interrupted());
        }
    }

    private static long read(Machine machine, long offset) {
        return (long)
                ValueLayout.JAVA_LONG.varHandle().getVolatile(machine.aperture.segment(), offset);
    }

    /// A slot stays INVALID for as long as a deletion takes. A processor whose access the kernel
    /// cannot make in that time retries until then, and then finds absent memory.
    @Test
    void anAccessToASlotThatIsBeingDeletedWaitsHoweverLongThatTakes() {
        FailingLibc counting = new FailingLibc(Syscalls.ofThisProcess().libc());
        CountDownLatch deleting = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        try (Machine machine =
                new Machine(NPAGES, new Syscalls(counting.libc()), Machine.PATIENCE, 40_000)) {
            machine.slots.addListener(new SlowFlush(deleting, goOn));
            Vma vma =
                    machine.bar(
                            NPAGES,
                            fault ->
                                    new Fill.Map(
                                            fault.page(),
                                            new PfnRange(machine.pfn(fault.page()), 1),
                                            Prot.READ));
            Machine.Cpu cpu = machine.cpu();
            cpu.load(Machine.gpa(0), 8, new ArrayList<>());
            var deletion = Machine.async(() -> machine.takeOut(vma));
            Deadlines.await(deleting);
            AtomicInteger tries = new AtomicInteger();
            counting.fail((function, arguments) -> {
                if (function.equals("ioctl")
                        && (long) arguments[1] == KvmVcpuAbi.KVM_RUN
                        && tries.incrementAndGet() == 1000) {
                    goOn.countDown();
                }
                return 0;
            });

            // Mapped read-only, so that the kernel cannot make it.
            assertThat(cpu.run(store(0, 7)))
                    .isEqualTo(new VcpuExit.MmioWrite(Machine.gpa(0), 8, 7));
            assertThat(Machine.get(deletion)).isTrue();
        } finally {
            goOn.countDown();
        }
    }

    /// Drops the mappings of a deleted slot only on the test's signal.
    private record SlowFlush(CountDownLatch deleting, CountDownLatch goOn) implements SlotListener {
        @Override
        public void prepare(SlotChange change) {}

        @Override
        public void flush(Memslot invalid) {
            deleting.countDown();
            Deadlines.await(goOn);
        }

        @Override
        public void commit(SlotChange change) {}
    }

    /// Slots come and go while processors write elsewhere and fault; the kernel makes each change
    /// wait for their faults.
    @Test
    void slotsChangeUnderRunningProcessors() throws Exception {
        try (Machine machine = new Machine(2 * NPAGES)) {
            Vma vma = machine.bar(NPAGES, machine.pageByPage(page -> page));
            Vma other =
                    machine.guest
                            .hostMm()
                            .reserve(
                                    NPAGES,
                                    Prot.READ_WRITE,
                                    0,
                                    machine.pageByPage(page -> NPAGES + page));
            AtomicBoolean stop = new AtomicBoolean();
            AtomicLong count = new AtomicLong();
            CompletableFuture<Boolean> zaps =
                    zapUntil(stop, count, machine, vma, new SplittableRandom(1));
            Machine.Cpu cpu = machine.cpu();
            AtomicLongArray seen = new AtomicLongArray(2);
            for (int round = 0; round < ROUNDS / 4; round++) {
                long gpa = Machine.BAR_GPA + (1L << 30) + (long) round % 3 * (2L << 20);
                var running =
                        cpu.start(
                                new GuestAccess.Store(
                                        new GuestAccess.Span(Machine.gpa(0), 8, NPAGES, Page.SIZE),
                                        round,
                                        0));
                var region = machine.show(other, gpa, 0);
                assertThat(Machine.get(running)).isEqualTo(new VcpuExit.Done());
                assertThat(cpu.store(gpa + 8, 8, round)).isEqualTo(new VcpuExit.Done());
                machine.slots.setUserMemoryRegion(
                        dev.mdev.core.memslot.UserMemoryRegion.deletionOf(region.slot()));
                assertThat(cpu.store(gpa + 8, 8, 1)).isInstanceOf(VcpuExit.MmioWrite.class);
                seen.incrementAndGet(0);
            }
            stop.set(true);
            Machine.get(zaps);
            assertThat(seen.get(0)).isEqualTo(ROUNDS / 4);
            assertThat(read(machine, Page.addressOf(NPAGES) + 8)).isEqualTo(ROUNDS / 4 - 1);
        }
    }

    private static GuestAccess.Store store(long page, long value) {
        return new GuestAccess.Store(new GuestAccess.Span(Machine.gpa(page), 8, 1, 0), value, 0);
    }

    private static HvaRange pages(Vma vma, long first, long npages) {
        return HvaRange.ofPages(vma.range().startHva() + Page.addressOf(first), npages);
    }
}
