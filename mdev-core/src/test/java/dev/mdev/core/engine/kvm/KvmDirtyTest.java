package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;
import dev.mdev.core.dirty.DirtyBackingView;
import dev.mdev.core.dirty.DirtyLogClear;
import dev.mdev.core.dirty.DirtyModes;
import dev.mdev.core.dirty.DirtyRingHarvester;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.hostmm.VmaOps;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.DirtySink;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.support.Together;
import dev.mdev.core.sys.FailingLibc;
import dev.mdev.core.sys.KvmAbi;
import dev.mdev.core.sys.Syscalls;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;

/// The kernel's dirty logs behind the machine's own.
@RealKvm
class KvmDirtyTest {
    private static final long NPAGES = 64;

    private static final int DELETIONS = 50 * Integer.getInteger("mdev.rounds", 1);

    /// Large enough for a processor with page modification logging.
    private static final long RING_BYTES = 16L << 10;

    private final Machine machine = new Machine(NPAGES);
    private final Vma vma =
            machine.guest.hostMm().mapEagerly(machine.aperture.pfns(), Prot.READ_WRITE);

    @AfterEach
    void close() {
        machine.close();
    }

    @Test
    void theLogHasWhatGuestsAndDevicesWroteSinceItWasRead() {
        UserMemoryRegion region = machine.show(vma, Machine.BAR_GPA, SlotFlags.LOG_DIRTY_PAGES);
        Machine.Cpu cpu = machine.cpu();
        cpu.store(Machine.gpa(3), 8, 1);
        cpu.store(Machine.gpa(9), 8, 1);
        machine.slots.markDirty(
                Objects.requireNonNull(machine.slots.slotOf(region.slot())),
                Page.numberOf(Machine.gpa(20)),
                DirtySink.NO_VCPU);

        assertThat(read(region)).isEqualTo(1L << 3 | 1L << 9 | 1L << 20);
        assertThat(read(region)).isZero();
        cpu.store(Machine.gpa(9), 8, 2);
        assertThat(read(region)).isEqualTo(1L << 9);
    }

    @Test
    void whoeverClearsTheLogByHandLosesNoWrite() {
        machine.guest.enableDirtyTracking(DirtyModes.MANUAL_PROTECT2, 0, DirtyModes.MANUAL_ENABLE);
        UserMemoryRegion region = machine.show(vma, Machine.BAR_GPA, SlotFlags.LOG_DIRTY_PAGES);
        Machine.Cpu cpu = machine.cpu();
        cpu.store(Machine.gpa(3), 8, 1);
        assertThat(read(region)).isEqualTo(1L << 3);
        assertThat(read(region)).isEqualTo(1L << 3);

        // Written after it was read and before it is cleared: the log had it, and forgets it.
        cpu.store(Machine.gpa(3), 8, 2);
        clear(region, 1L << 3);
        assertThat(read(region)).isZero();

        cpu.store(Machine.gpa(3), 8, 3);
        assertThat(read(region)).isEqualTo(1L << 3);
    }

    @Test
    void aMoveKeepsTheLog() {
        UserMemoryRegion region = machine.show(vma, Machine.BAR_GPA, SlotFlags.LOG_DIRTY_PAGES);
        Machine.Cpu cpu = machine.cpu();
        cpu.store(Machine.gpa(3), 8, 1);

        machine.slots.setUserMemoryRegion(
                new UserMemoryRegion(
                        region.slot(),
                        region.flags(),
                        region.gpa() + (1L << 30),
                        region.sizeBytes(),
                        region.hva()));
        cpu.store(Machine.gpa(4) + (1L << 30), 8, 1);

        assertThat(read(region)).isEqualTo(1L << 3 | 1L << 4);
    }

    @Test
    void whatASlotHadLoggedWhenItWasDeletedOrCeasedToLogIsInTheViewByBackingMemory() {
        DirtyBackingView view = DirtyBackingView.attach(machine.slots, machine.guest.dirtyLog());
        DirtyBitmap dirty = view.addBlock(vma.range()).dirty();
        UserMemoryRegion region = machine.show(vma, Machine.BAR_GPA, SlotFlags.LOG_DIRTY_PAGES);
        Machine.Cpu cpu = machine.cpu();
        cpu.store(Machine.gpa(3), 8, 1);
        machine.slots.setUserMemoryRegion(UserMemoryRegion.deletionOf(region.slot()));
        assertThat(dirty.getAndClear(0)).isEqualTo(1L << 3);

        machine.slots.setUserMemoryRegion(region);
        cpu.store(Machine.gpa(4), 8, 1);
        machine.slots.setUserMemoryRegion(
                new UserMemoryRegion(
                        region.slot(), 0, region.gpa(), region.sizeBytes(), region.hva()));
        assertThat(dirty.getAndClear(0)).isEqualTo(1L << 4);
    }

    /// A processor writes page after page while the slot is deleted.
    @Test
    void noPageIsWrittenAndMissedWhileItsSlotIsDeleted() {
        DirtyBackingView view = DirtyBackingView.attach(machine.slots, machine.guest.dirtyLog());
        DirtyBitmap dirty = view.addBlock(vma.range()).dirty();
        Machine.Cpu cpu = machine.cpu();
        SplittableRandom random = new SplittableRandom(1);
        for (int round = 1; round <= DELETIONS; round++) {
            UserMemoryRegion region = machine.show(vma, Machine.BAR_GPA, SlotFlags.LOG_DIRTY_PAGES);
            int value = round;
            AtomicInteger stored = new AtomicInteger();
            Together.run(
                    () -> {
                        for (int page = 0; page < NPAGES; page++) {
                            cpu.store(Machine.gpa(page), 8, value);
                            stored.incrementAndGet();
                        }
                    },
                    () -> {
                        int after = random.nextInt((int) NPAGES);
                        while (stored.get() < after) {
                            Thread.onSpinWait();
                        }
                        machine.slots.setUserMemoryRegion(
                                UserMemoryRegion.deletionOf(region.slot()));
                    });
            for (int page = 0; page < NPAGES; page++) {
                long at = Page.bytesOf(page);
                // A page may be logged for a store that then found no slot.
                if (machine.aperture.segment().get(ValueLayout.JAVA_LONG, at) == value) {
                    assertThat(dirty.test(page)).as("round=%d page=%d", round, page).isTrue();
                }
            }
            var _ = dirty.harvest((_, _) -> {});
        }
    }

    @Test
    void ringsThatTheKernelRefusesAreNotThereForTheMachineEither() {
        FailingLibc failing = new FailingLibc(Syscalls.ofThisProcess().libc());
        try (Machine refused =
                new Machine(NPAGES, new Syscalls(failing.libc()), Machine.PATIENCE, 40_000)) {
            failing.fail((function, arguments) ->
                    function.equals("ioctl") && (long) arguments[1] == KvmAbi.KVM_ENABLE_CAP
                            ? Errno.EINVAL.code()
                            : 0);
            assertThatExceptionOfType(MdevException.class)
                    .isThrownBy(
                            () -> refused.guest.enableDirtyTracking(DirtyModes.RING, 0, RING_BYTES))
                    .matches(e -> e.errno() == Errno.EINVAL);
            failing.failNothing();

            Vma ram = refused.guest.hostMm().mapEagerly(refused.aperture.pfns(), Prot.READ_WRITE);
            UserMemoryRegion region = refused.show(ram, Machine.BAR_GPA, SlotFlags.LOG_DIRTY_PAGES);
            MemorySegment bits = MemorySegment.ofArray(new long[1]);
            refused.guest.dirtyLog().get(region.slot(), bits);

            refused.guest.enableDirtyTracking(DirtyModes.RING, 0, RING_BYTES);
            assertThatExceptionOfType(MdevException.class)
                    .isThrownBy(() -> refused.guest.dirtyLog().get(region.slot(), bits))
                    .matches(e -> e.errno() == Errno.ENXIO);
        }
    }

    /// A processor stores to one page all the time.
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void noStoreComesBetweenTheLastLookAtALogAndItsEnd(boolean deleted) {
        FailingLibc watching = new FailingLibc(Syscalls.ofThisProcess().libc());
        try (Machine storing =
                new Machine(NPAGES, new Syscalls(watching.libc()), Machine.PATIENCE, 40_000)) {
            Vma ram = storing.guest.hostMm().mapEagerly(storing.aperture.pfns(), Prot.READ_WRITE);
            UserMemoryRegion region = storing.show(ram, Machine.BAR_GPA, SlotFlags.LOG_DIRTY_PAGES);
            Machine.Cpu cpu = storing.cpu();
            var running =
                    cpu.start(
                            new GuestAccess.Store(
                                    new GuestAccess.Span(Machine.gpa(0), 8, Long.MAX_VALUE >> 8, 0),
                                    1,
                                    1));
            LongSupplier stored =
                    () ->
                            (long)
                                    ValueLayout.JAVA_LONG
                                            .varHandle()
                                            .getVolatile(storing.aperture.segment(), 0L);
            Together.await("the processor stores", () -> stored.getAsLong() > 1000);
            AtomicBoolean looked = new AtomicBoolean();
            AtomicLong storesBetween = new AtomicLong(-1);
            watching.fail((function, arguments) -> {
                if (function.equals("ioctl")) {
                    long request = (long) arguments[1];
                    looked.compareAndSet(false, request == KvmAbi.KVM_GET_DIRTY_LOG);
                    if (looked.get() && request == KvmAbi.KVM_SET_USER_MEMORY_REGION) {
                        storesBetween.set(storesInAWhile(stored));
                    }
                }
                return 0;
            });

            storing.slots.setUserMemoryRegion(
                    deleted
                            ? UserMemoryRegion.deletionOf(region.slot())
                            : new UserMemoryRegion(
                                    region.slot(),
                                    0,
                                    region.gpa(),
                                    region.sizeBytes(),
                                    region.hva()));

            assertThat(storesBetween).hasValue(0);
            if (!deleted) {
                cpu.vcpu.kick();
            }
            assertThat(Machine.get(running))
                    .isInstanceOf(deleted ? VcpuExit.MmioWrite.class : VcpuExit.Interrupted.class);
        }
    }

    private static long storesInAWhile(LongSupplier stored) {
        long before = stored.getAsLong();
        for (int i = 0; i < 1_000_000 && stored.getAsLong() == before; i++) {
            Thread.onSpinWait();
        }
        return stored.getAsLong() - before;
    }

    /// A processor that sleeps in a fault is got out for as long as it takes.
    @Test
    void theEndOfALogDoesNotWaitForAFaultThatIsNotAnswered() throws Exception {
        UserMemoryRegion region =
                machine.show(vma, Machine.BAR_GPA + (1L << 30), SlotFlags.LOG_DIRTY_PAGES);
        CountDownLatch asked = new CountDownLatch(1);
        CountDownLatch answer = new CountDownLatch(1);
        VmaOps owner = machine.pageByPage(page -> page);
        machine.bar(
                NPAGES,
                fault -> {
                    asked.countDown();
                    try {
                        assertThat(answer.await(Machine.PATIENCE_SECONDS, TimeUnit.SECONDS))
                                .isTrue();
                    } catch (InterruptedException e) {
                        throw new AssertionError(e);
                    }
                    return owner.fault(fault);
                });
        var sleeping =
                machine.cpu()
                        .start(
                                new GuestAccess.Store(
                                        new GuestAccess.Span(Machine.gpa(0), 8, 1, 0), 7, 0));
        assertThat(asked.await(Machine.PATIENCE_SECONDS, TimeUnit.SECONDS)).isTrue();

        var deletion =
                Machine.async(() ->
                        machine.slots.setUserMemoryRegion(
                                UserMemoryRegion.deletionOf(region.slot())));
        try {
            assertThat(Machine.get(deletion)).isTrue();
        } finally {
            answer.countDown();
        }
        assertThat(Machine.get(sleeping)).isEqualTo(new VcpuExit.Done());
        assertThat(machine.aperture.segment().get(ValueLayout.JAVA_LONG, 0)).isEqualTo(7);
    }

    @Test
    void aSlotThatLoggedBeforeThereWereRingsCanBeDeleted() {
        UserMemoryRegion region = machine.show(vma, Machine.BAR_GPA, SlotFlags.LOG_DIRTY_PAGES);
        machine.guest.enableDirtyTracking(DirtyModes.RING, 0, RING_BYTES);

        machine.slots.setUserMemoryRegion(UserMemoryRegion.deletionOf(region.slot()));

        assertThat(machine.cpu().store(Machine.gpa(0), 8, 1))
                .isInstanceOf(VcpuExit.MmioWrite.class);
    }

    @Test
    void ringsAreTheKernels() {
        machine.guest.enableDirtyTracking(DirtyModes.RING, 0, RING_BYTES);
        UserMemoryRegion region = machine.show(vma, Machine.BAR_GPA, SlotFlags.LOG_DIRTY_PAGES);
        Machine.Cpu cpu = machine.cpu();
        DirtyRingHarvester harvester =
                new DirtyRingHarvester(Objects.requireNonNull(machine.guest.dirtyRing(0)));
        cpu.store(Machine.gpa(3), 8, 1);
        cpu.store(Machine.gpa(9), 8, 1);
        cpu.store(Machine.gpa(3), 8, 2);

        List<Long> pages = new ArrayList<>();
        harvester.harvest((_, page) -> pages.add(page), 100);
        assertThat(pages).containsExactly(3L, 9L);
        assertThat(machine.guest.resetDirtyRings()).isEqualTo(2);
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() -> read(region))
                .matches(e -> e.errno() == Errno.ENXIO);
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() -> machine.guest.enableDirtyTracking(DirtyModes.RING, 0, RING_BYTES))
                .matches(e -> e.errno() == Errno.EINVAL);
    }

    @Test
    void aFullRingStopsTheGuestUntilItIsReset() {
        try (Machine large = new Machine(2048)) {
            large.guest.enableDirtyTracking(DirtyModes.RING, 0, RING_BYTES);
            Vma ram = large.guest.hostMm().mapEagerly(large.aperture.pfns(), Prot.READ_WRITE);
            large.show(ram, Machine.BAR_GPA, SlotFlags.LOG_DIRTY_PAGES);
            Machine.Cpu cpu = large.cpu();
            DirtyRingHarvester harvester =
                    new DirtyRingHarvester(Objects.requireNonNull(large.guest.dirtyRing(0)));
            List<Long> pages = new ArrayList<>();
            VcpuExit exit =
                    cpu.run(
                            new GuestAccess.Store(
                                    new GuestAccess.Span(Machine.gpa(0), 8, 2048, Page.SIZE),
                                    1,
                                    0));
            int stops = 0;
            while (exit.equals(new VcpuExit.DirtyRingFull())) {
                assertThat(cpu.resume()).isEqualTo(exit);
                harvester.harvest((_, page) -> pages.add(page), 1000);
                large.guest.resetDirtyRings();
                stops++;
                exit = cpu.resume();
            }
            harvester.harvest((_, page) -> pages.add(page), 1000);

            assertThat(exit).isEqualTo(new VcpuExit.Done());
            assertThat(stops).isGreaterThan(1);
            // The page that fills the ring is entered before its store is made; if it is harvested
            // then, the store enters it again.
            assertThat(new HashSet<>(pages)).hasSize(2048);
            assertThat(pages).hasSizeLessThanOrEqualTo(2048 + stops);
        }
    }

    private long read(UserMemoryRegion region) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bits = arena.allocate(ValueLayout.JAVA_LONG);
            machine.guest.dirtyLog().get(region.slot(), bits);
            return bits.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    private void clear(UserMemoryRegion region, long bits) {
        machine.guest
                .dirtyLog()
                .clear(
                        new DirtyLogClear(region.slot(), (int) NPAGES, 0),
                        MemorySegment.ofArray(new long[] {bits}));
    }
}
