package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.Refusal;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.engine.kvm.stub.StubMemory;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.Fill;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.hostmm.VmaFault;
import dev.mdev.core.memslot.SlotFlags;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;

@RealKvm
class KvmVcpuTest {
    private static final long NPAGES = 64;

    private final Machine machine = new Machine(NPAGES);
    private final Machine.Cpu cpu = machine.cpu();
    private final List<Long> loaded = new ArrayList<>();

    @AfterEach
    void close() {
        machine.close();
    }

    @Test
    void aLoadFaultsAndReadsThePageThatWasGranted() {
        machine.bar(NPAGES, machine.pageByPage(page -> 63 - page));
        machine.aperture.segment().set(ValueLayout.JAVA_LONG, 60 * 4096 + 8, 0x1122334455667788L);

        assertThat(cpu.load(Machine.gpa(3) + 8, 8, loaded)).isEqualTo(new VcpuExit.Done());

        assertThat(loaded).containsExactly(0x1122334455667788L);
        assertThat(machine.guest.faultCounts().events()).isOne();
    }

    @Test
    void everyWidthLoadsAndStoresItsBytesAndNoMore() {
        machine.bar(NPAGES, machine.pageByPage(page -> page));
        for (int width = 1; width <= 8; width <<= 1) {
            long gpa = Machine.gpa(width) + 16;
            machine.aperture.segment().asSlice(Page.addressOf(width), 64).fill((byte) 0xee);
            loaded.clear();

            assertThat(cpu.store(gpa, width, 0x8877665544332211L)).isEqualTo(new VcpuExit.Done());
            assertThat(cpu.load(gpa, width, loaded)).isEqualTo(new VcpuExit.Done());
            assertThat(cpu.load(gpa + width, 1, loaded)).isEqualTo(new VcpuExit.Done());
            assertThat(cpu.load(gpa - 1, 1, loaded)).isEqualTo(new VcpuExit.Done());

            long mask = width == 8 ? -1 : (1L << (width * 8)) - 1;
            assertThat(loaded).containsExactly(0x8877665544332211L & mask, 0xeeL, 0xeeL);
        }
    }

    @Test
    void aRowOfManyPagesIsDoneInOrderAcrossBatches() {
        machine.bar(NPAGES, machine.pageByPage(page -> page ^ 1));
        GuestAccess.Span span = new GuestAccess.Span(Machine.gpa(0), 4, 20_000, 12);

        assertThat(cpu.run(new GuestAccess.Store(span, 7, 3))).isEqualTo(new VcpuExit.Done());
        assertThat(cpu.load(span, loaded)).isEqualTo(new VcpuExit.Done());

        assertThat(loaded).hasSize(20_000);
        for (int i = 0; i < 20_000; i++) {
            assertThat(loaded.get(i)).isEqualTo(7 + 3L * i);
        }
        assertThat(cpu.vcpu.completed()).isEqualTo(20_000);
    }

    @Test
    void aNegativeStrideGoesBackwards() {
        machine.bar(NPAGES, machine.pageByPage(page -> page));
        GuestAccess.Span span = new GuestAccess.Span(Machine.gpa(10), 8, 10, -Page.SIZE);
        cpu.run(new GuestAccess.Store(span, 100, 1));

        cpu.load(new GuestAccess.Span(Machine.gpa(1), 8, 10, Page.SIZE), loaded);

        assertThat(loaded)
                .containsExactly(109L, 108L, 107L, 106L, 105L, 104L, 103L, 102L, 101L, 100L);
    }

    @Test
    void accessesWithoutMemoryLeaveTheGuestAndAreAnswered() {
        assertThat(cpu.store(0x1000, 2, 0xabcdef))
                .isEqualTo(new VcpuExit.MmioWrite(0x1000, 2, 0xcdef));
        assertThat(cpu.vcpu.completed()).isZero();
        assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());
        assertThat(cpu.vcpu.completed()).isOne();

        assertThat(cpu.load(new GuestAccess.Span(0x2000, 4, 2, 4), loaded))
                .isEqualTo(new VcpuExit.MmioRead(0x2000, 4));
        cpu.vcpu.completeMmioRead(0x1_2345_6789L);
        assertThat(cpu.resume()).isEqualTo(new VcpuExit.MmioRead(0x2004, 4));
        cpu.vcpu.completeMmioRead(5);
        assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());
        assertThat(loaded).containsExactly(0x2345_6789L, 5L);
    }

    @Test
    void anAbandonedMmioLoadDoesNotDisturbTheNextAccess() {
        machine.bar(NPAGES, machine.pageByPage(page -> page));
        assertThat(cpu.load(0x2000, 8, loaded)).isInstanceOf(VcpuExit.MmioRead.class);

        assertThat(cpu.store(Machine.gpa(0), 8, 42)).isEqualTo(new VcpuExit.Done());
        assertThat(cpu.load(Machine.gpa(0), 8, loaded)).isEqualTo(new VcpuExit.Done());

        assertThat(loaded).containsExactly(42L);
    }

    @Test
    void anAccessThatCrossesIntoAHoleIsHalfMemoryHalfMmio() {
        machine.bar(NPAGES, machine.pageByPage(page -> page));
        long gpa = Machine.gpa(NPAGES) - 2;
        assertThat(cpu.store(gpa, 4, 0x44332211))
                .isEqualTo(new VcpuExit.MmioWrite(gpa + 2, 2, 0x4433));
        assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());
        assertThat(cpu.load(gpa, 4, loaded)).isEqualTo(new VcpuExit.MmioRead(gpa + 2, 2));
        cpu.vcpu.completeMmioRead(0x8877);
        assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());

        assertThat(loaded).containsExactly(0x8877_2211L);
    }

    @Test
    void aTrappedPageIsServedByMmioExits() {
        machine.bar(
                NPAGES,
                fault ->
                        fault.page() == 5
                                ? new FaultResult.Trapped()
                                : machine.pageByPage(page -> page).fault(fault));
        GuestAccess.Span span = new GuestAccess.Span(Machine.gpa(4), 8, 3, Page.SIZE);

        assertThat(cpu.run(new GuestAccess.Store(span, 10, 1)))
                .isEqualTo(new VcpuExit.MmioWrite(Machine.gpa(5), 8, 11));
        assertThat(cpu.vcpu.completed()).isOne();
        assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());
        assertThat(cpu.load(span, loaded)).isEqualTo(new VcpuExit.MmioRead(Machine.gpa(5), 8));
        cpu.vcpu.completeMmioRead(99);
        assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());

        assertThat(loaded).containsExactly(10L, 99L, 12L);
        assertThat(machine.guest.faultCounts().refused()).isEqualTo(2);
    }

    @Test
    void anAccessThatCrossesIntoATrappedPageIsServedInParts() {
        machine.bar(
                NPAGES,
                fault ->
                        fault.page() == 5
                                ? new FaultResult.Trapped()
                                : machine.pageByPage(page -> page).fault(fault));
        long gpa = Machine.gpa(5) - 3;

        assertThat(cpu.store(gpa, 8, 0x8877_6655_4433_2211L))
                .isEqualTo(new VcpuExit.MmioWrite(Machine.gpa(5), 5, 0x88_7766_5544L));
        assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());
        assertThat(cpu.load(gpa, 8, loaded)).isEqualTo(new VcpuExit.MmioRead(Machine.gpa(5), 5));
        cpu.vcpu.completeMmioRead(0xff05_0403_0201L);
        assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());

        assertThat(loaded).containsExactly(0x0504_0302_0133_2211L);
    }

    /// The kernel's instruction emulator makes such an access, and a signal does not wake it from a
    /// page fault. Everything that memory cannot serve becomes an exit.
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void anAccessFromAHoleIntoAPageThatIsRefusedIsServedByTwoExits(boolean trapped) {
        AtomicBoolean refuse = new AtomicBoolean(true);
        Fill refusal =
                trapped
                        ? new FaultResult.Trapped()
                        : new FaultResult.Failed(Errno.EACCES, "not yours");
        machine.bar(
                NPAGES,
                fault -> refuse.get() ? refusal : machine.pageByPage(page -> page).fault(fault));
        long gpa = Machine.gpa(0) - 3;

        assertThat(cpu.store(gpa, 8, 0x8877_6655_4433_2211L))
                .isEqualTo(new VcpuExit.MmioWrite(gpa, 3, 0x33_2211));
        assertThat(cpu.resume())
                .isEqualTo(new VcpuExit.MmioWrite(Machine.gpa(0), 5, 0x88_7766_5544L));
        assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());
        assertThat(cpu.load(gpa, 8, loaded)).isEqualTo(new VcpuExit.MmioRead(gpa, 3));
        cpu.vcpu.completeMmioRead(0x33_2211);
        assertThat(cpu.resume()).isEqualTo(new VcpuExit.MmioRead(Machine.gpa(0), 5));
        cpu.vcpu.completeMmioRead(0x88_7766_5544L);
        assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());
        assertThat(loaded).containsExactly(0x8877_6655_4433_2211L);

        // Nothing is left of that for an access like it.
        refuse.set(false);
        assertThat(cpu.store(gpa, 8, 0x0807_0605_0403_0201L))
                .isEqualTo(new VcpuExit.MmioWrite(gpa, 3, 0x03_0201));
        assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());
        assertThat(machine.aperture.segment().get(ValueLayout.JAVA_LONG, 0))
                .isEqualTo(0x08_0706_0504L);
    }

    /// The kernel's emulator cannot store to a read-only mapping, and does not ask for more rights.
    @Test
    void aStoreFromAHoleIntoAPageThatIsGrantedReadOnlyAsksForAnUpgradeAndIsLogged() {
        Vma vma =
                machine.bar(
                        NPAGES,
                        Machine.BAR_GPA,
                        SlotFlags.LOG_DIRTY_PAGES,
                        fault ->
                                new Fill.Map(
                                        fault.page(),
                                        new PfnRange(machine.pfn(fault.page()), 1),
                                        fault.access() == Access.READ
                                                ? Prot.READ
                                                : Prot.READ_WRITE));
        cpu.load(Machine.gpa(0), 8, loaded);
        long gpa = Machine.gpa(0) - 3;

        assertThat(cpu.store(gpa, 8, 0x8877_6655_4433_2211L))
                .isEqualTo(new VcpuExit.MmioWrite(gpa, 3, 0x33_2211));
        assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());

        assertThat(machine.aperture.segment().get(ValueLayout.JAVA_LONG, 0))
                .isEqualTo(0x88_7766_5544L);
        MemorySegment log = MemorySegment.ofArray(new long[1]);
        machine.guest.dirtyLog().get(0, log);
        assertThat(log.get(ValueLayout.JAVA_LONG, 0)).isOne();
        assertThat(vma.residentPages()).isOne();
    }

    @Test
    void aDeniedAccessFailsAndIsAskedForAgainWhenItIsRetried() {
        int[] asked = new int[1];
        machine.bar(
                NPAGES,
                fault ->
                        asked[0]++ == 0
                                ? new FaultResult.Failed(Errno.EACCES, "not yours")
                                : machine.pageByPage(page -> page).fault(fault));

        assertThat(cpu.store(Machine.gpa(7) + 4, 4, 1))
                .isEqualTo(
                        new VcpuExit.Fault(
                                Machine.gpa(7) + 4,
                                Access.WRITE,
                                new Refusal(Errno.EACCES, "not yours")));
        assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());

        assertThat(asked[0]).isEqualTo(2);
    }

    @Test
    void aWriteToAPageThatIsGrantedReadOnlyAsksForAnUpgrade() {
        List<Boolean> upgrades = new ArrayList<>();
        machine.bar(
                NPAGES,
                fault -> {
                    upgrades.add(fault.reason() == VmaFault.Reason.UPGRADE);
                    return new Fill.Map(
                            fault.page(),
                            new PfnRange(machine.pfn(fault.page()), 1),
                            fault.access() == Access.READ ? Prot.READ : Prot.READ_WRITE);
                });
        cpu.load(Machine.gpa(2), 8, loaded);

        assertThat(cpu.store(Machine.gpa(2), 8, 77)).isEqualTo(new VcpuExit.Done());

        assertThat(upgrades).containsExactly(false, true);
        assertThat(machine.aperture.segment().get(ValueLayout.JAVA_LONG, 2 * 4096)).isEqualTo(77);
    }

    @Test
    void aStoreToAReadOnlySlotLeavesTheGuestAndALoadDoesNot() {
        Vma rom = machine.guest.hostMm().mapEagerly(machine.aperture.pfns(), Prot.READ_WRITE);
        machine.show(rom, Machine.BAR_GPA, SlotFlags.READONLY);
        machine.aperture.segment().set(ValueLayout.JAVA_LONG, 0, 5);

        assertThat(cpu.store(Machine.gpa(0), 4, 9))
                .isEqualTo(new VcpuExit.MmioWrite(Machine.gpa(0), 4, 9));
        assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());
        assertThat(cpu.load(Machine.gpa(0), 4, loaded)).isEqualTo(new VcpuExit.Done());

        assertThat(loaded).containsExactly(5L);
    }

    @Test
    void aKickBeforeTheRunInterruptsItOnce() {
        machine.bar(NPAGES, machine.pageByPage(page -> page));
        cpu.vcpu.kick();

        assertThat(cpu.store(Machine.gpa(0), 8, 1)).isEqualTo(new VcpuExit.Interrupted());
        assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());
        assertThat(cpu.vcpu.completed()).isOne();
    }

    /// The kick may have been meant for what ran before.
    @Test
    void aKickBeforeTheRunMakesNoAccessOfItAndHandsNoValueOn() {
        machine.bar(NPAGES, machine.pageByPage(page -> page));
        machine.aperture.segment().asSlice(0, 32).fill((byte) 1);
        GuestAccess.Span span = new GuestAccess.Span(Machine.gpa(0), 1, 4, 8);
        cpu.vcpu.kick();

        assertThat(cpu.load(span, loaded)).isEqualTo(new VcpuExit.Interrupted());
        assertThat(cpu.vcpu.completed()).isZero();
        assertThat(loaded).isEmpty();

        assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());
        assertThat(cpu.vcpu.completed()).isEqualTo(4);
        assertThat(loaded).containsExactly(1L, 1L, 1L, 1L);
    }

    @Test
    void aKickInterruptsALongRowAndItGoesOnWhereItStopped() {
        machine.bar(NPAGES, machine.pageByPage(page -> page));
        cpu.store(Machine.gpa(0), 8, 0);
        long many = 2_000_000_000L;
        var running =
                cpu.start(
                        new GuestAccess.Store(
                                new GuestAccess.Span(Machine.gpa(0), 8, many, 0), 1, 1));
        while (machine.aperture.segment().get(ValueLayout.JAVA_LONG, 0) < 1000) {
            Thread.onSpinWait();
        }
        cpu.vcpu.kick();

        assertThat(Machine.get(running)).isEqualTo(new VcpuExit.Interrupted());
        long done = cpu.vcpu.completed();
        assertThat(done).isBetween(1000L, many);
        assertThat(machine.aperture.segment().get(ValueLayout.JAVA_LONG, 0)).isEqualTo(done);
    }

    @Test
    void addressesBeyondTheProgramsReachAreMmio() {
        long limit = StubMemory.limitGpa(machine.guest.vm());

        assertThat(cpu.store(limit + 16, 8, 3)).isEqualTo(new VcpuExit.MmioWrite(limit + 16, 8, 3));
        assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());
        assertThat(cpu.load(limit, 1, loaded)).isEqualTo(new VcpuExit.MmioRead(limit, 1));
        assertThat(cpu.load(limit - 8, 8, loaded)).isEqualTo(new VcpuExit.MmioRead(limit - 8, 8));
    }

    @Test
    void accessesAllOverTheAddressSpaceFindTheirMemoryAlsoWhenPageTablesRunOut() {
        Vma ram = machine.guest.hostMm().mapEagerly(machine.aperture.pfns(), Prot.READ_WRITE);
        for (int i = 0; i < 4; i++) {
            machine.show(ram, (1L << 42) + ((long) i << 44), 0);
        }
        for (int i = 0; i < 3000; i++) {
            long gib = 2L + i % 1500;
            assertThat(cpu.store(gib << 30, 1, 1)).isInstanceOf(VcpuExit.MmioWrite.class);
        }
        for (int i = 0; i < 4; i++) {
            long gpa = (1L << 42) + ((long) i << 44) + 8L * i;
            assertThat(cpu.store(gpa, 8, 50 + i)).isEqualTo(new VcpuExit.Done());
        }

        assertThat(cpu.load(new GuestAccess.Span(1L << 42, 8, 4, 8), loaded))
                .isEqualTo(new VcpuExit.Done());
        assertThat(loaded).containsExactly(50L, 51L, 52L, 53L);
    }
}
