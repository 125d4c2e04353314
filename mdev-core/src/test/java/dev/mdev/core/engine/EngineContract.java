package dev.mdev.core.engine;

import static dev.mdev.core.engine.ScriptedDriver.DEVICE_PAGES;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.support.Together;
import dev.mdev.core.vm.AttachedDevice;
import dev.mdev.core.vm.GuestProgram;
import dev.mdev.core.vm.GuestProgram.Step;
import dev.mdev.core.vm.ProgramResult;
import dev.mdev.core.vm.StepResult;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/// What a guest, a driver and an operator see, on every engine. Each engine has a test that extends
/// this. [GrantContract] has the effects of a driver's answers.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
public abstract class EngineContract extends EngineMachine {
    /// Long enough for a busy machine to bring a program to its first fault.
    private static final Duration HUNG_AFTER = Duration.ofSeconds(2);

    @Test
    void whatTheGuestStoresIsInTheDevicesPagesAndBack() {
        AttachedDevice device = attach();
        long bar = bar(device, 0);

        assertCompleted(run(write(new Span(bar + 8, 8, 1, 0), 0x1122_3344_5566_7788L, 0)));

        assertThat(deviceLong(0, 0, 8)).isEqualTo(0x1122_3344_5566_7788L);
        setDeviceLong(0, 3, 16, 42);
        assertThat(read(new Span(bar + 3 * Page.SIZE + 16, 8, 1, 0))).containsExactly(42L);
    }

    @Test
    void everyWidthAndAlignmentWorksAlsoAcrossPages() {
        AttachedDevice device = attach();
        long bar = bar(device, 0);
        for (int width : new int[] {1, 2, 4, 8}) {
            long mask = width == 8 ? -1L : (1L << (width * 8)) - 1;
            for (long offset = Page.SIZE - 9; offset <= Page.SIZE + 1; offset++) {
                long value = 0x8877_6655_4433_2211L * (offset + width);
                assertCompleted(run(write(new Span(bar + offset, width, 1, 0), value, 0)));
                assertThat(read(new Span(bar + offset, width, 1, 0)))
                        .as("width=%d offset=%d", width, offset)
                        .containsExactly(value & mask);
            }
        }
    }

    @Test
    void aTrappedAnswerServesTheAccessByTheDriversRegisters() {
        driver.answer = (device, request) -> new MapDecision.Trap();
        AttachedDevice device = attach();
        long bar = bar(device, 0);

        assertCompleted(run(write(new Span(bar + 8, 4, 1, 0), 0x1234, 0)));

        assertThat(read(new Span(bar + 8, 4, 1, 0))).containsExactly(0x1234L);
        assertThat(device.mdev().residentPages()).isZero();
        assertThat(driverDevice(0).registerAccesses).contains("w0+8/4=4660");
    }

    @Test
    void trappedAreasReachTheDriverWithWidthAndOffset() {
        AttachedDevice device = attach();
        long regs = bar(device, 2);

        assertCompleted(run(write(new Span(regs + 16, 4, 1, 0), 0xcafe, 0)));

        assertThat(read(new Span(regs + 16, 2, 1, 0))).containsExactly(0xcafeL);
        assertThat(driverDevice(0).registerAccesses).containsExactly("w2+16/4=51966", "r2+16/2");
        assertThat(driverDevice(0).requests).isEmpty();
    }

    @Test
    void aRegisterThatThrowsFaultsTheGuest() {
        AttachedDevice device = attach();
        driverDevice(0).registerFailure = new MdevException(Errno.ENXIO, "no such register");

        ProgramResult result = run(write(new Span(bar(device, 2), 4, 1, 0), 1, 0));

        VcpuExit.Fault fault = result.steps().getFirst().fault().orElseThrow();
        assertThat(fault.refusal().errno()).isEqualTo(Errno.ENXIO);
    }

    @Test
    void addressesThatNobodyClaimsReadAsOnesAndSwallowStores() {
        ProgramResult result =
                run(
                        new Step.Read(new Span(RAM_BYTES + 64, 4, 2, 4)),
                        write(new Span(RAM_BYTES + 64, 4, 1, 0), 1, 0));

        assertCompleted(result);
        assertThat(result.steps().getFirst().values()).containsOnly(0xffff_ffffL);
        assertThat(result.steps().getFirst().unassigned()).isEqualTo(2);
        assertThat(result.steps().getLast().unassigned()).isOne();
    }

    @Test
    void ramKeepsWhatIsStoredOverItsWholeLength() {
        assertCompleted(run(write(new Span(0, 8, RAM_BYTES / 8, 8), 0x0102_0304, 0x1_0001)));
        assertCompleted(run(check(new Span(0, 8, RAM_BYTES / 8, 8), 0x0102_0304, 0x1_0001)));
    }

    @Test
    void aStoreFromRamIntoNothingStoresItsRamHalf() {
        long edge = RAM_BYTES - 4;

        ProgramResult result = run(write(new Span(edge, 8, 1, 0), 0x1122_3344_5566_7788L, 0));

        assertCompleted(result);
        assertThat(result.steps().getFirst().unassigned()).isOne();
        assertThat(read(new Span(edge, 4, 1, 0))).containsExactly(0x5566_7788L);
        assertThat(read(new Span(edge, 8, 1, 0))).containsExactly(0xffff_ffff_5566_7788L);
    }

    @Test
    void twoDevicesOnOneParentNeverShareAPage() {
        AttachedDevice one = attach();
        AttachedDevice two = attach();

        assertCompleted(run(write(pages(bar(one, 0), DEVICE_PAGES), 0xaaaa, 0)));
        assertCompleted(run(check(pages(bar(two, 0), DEVICE_PAGES), 0, 0)));
        assertCompleted(run(write(pages(bar(two, 0), DEVICE_PAGES), 0xbbbb, 0)));
        assertCompleted(run(check(pages(bar(one, 0), DEVICE_PAGES), 0xaaaa, 0)));
    }

    @Test
    void detachingTakesTheBarsAwayAndResetsTheDevice() {
        AttachedDevice device = attach();
        long bar = bar(device, 0);
        assertCompleted(run(write(pages(bar, 4), 1, 0)));

        vm.detach(device.mdev().uuid());

        assertThat(device.mdev().residentPages()).isZero();
        assertThat(device.mdev().holder()).isEmpty();
        assertThat(driverDevice(0).resets).hasValue(1);
        assertThat(run(write(pages(bar, 4), 1, 0)).steps().getFirst().unassigned()).isEqualTo(4);
    }

    @Test
    void aBarGoesWithMemoryDecodingAndComesBackWithItsContent() {
        AttachedDevice device = attach();
        long bar = bar(device, 0);
        long command = device.configGpa() + 4;
        assertCompleted(run(write(pages(bar, 8), 0x21, 1)));

        assertCompleted(run(write(new Span(command, 2, 1, 0), 0, 0)));

        assertThat(device.mdev().residentPages()).isZero();
        assertThat(run(new Step.Read(pages(bar, 8))).steps().getFirst().unassigned()).isEqualTo(8);
        assertCompleted(run(write(new Span(command, 2, 1, 0), 2, 0)));
        assertCompleted(run(check(pages(bar, 8), 0x21, 1)));
        assertThat(driverDevice(0).requests)
                .hasSize(16)
                .last()
                .extracting(MapRequest::reason)
                .isEqualTo(MapRequest.Reason.AFTER_REVOKE);
    }

    @Test
    void aBarThatMovesIsFoundAtItsNewAddressOnlyAndAsksNothing() {
        AttachedDevice device = attach();
        long old = bar(device, 0);
        long next = old + (1L << 32);
        assertCompleted(run(write(pages(old, 8), 0x31, 1)));

        assertCompleted(run(write(new Span(device.configGpa() + 0x10, 8, 1, 0), next, 0)));

        assertThat(bar(device, 0)).isEqualTo(next);
        assertThat(run(new Step.Read(pages(old, 8))).steps().getFirst().unassigned()).isEqualTo(8);
        assertCompleted(run(check(pages(next, 8), 0x31, 1)));
        assertThat(driverDevice(0).requests).hasSize(8);
    }

    @Test
    void noStoreLandsInABarAfterDecodingWasTurnedOff() throws Exception {
        AttachedDevice device = attach();
        long bar = bar(device, 0);
        CompletableFuture<ProgramResult> writer =
                vm.vcpu(1).execute(endless(write(new Span(bar, 8, 1L << 31, 0), 1, 1)), DEADLINE);
        for (int round = 0; round < 20; round++) {
            device.config().write(4, 2, 0);
            setDeviceLong(0, 0, 0, 0);
            for (int spin = 0; spin < 20; spin++) {
                assertThat(deviceLong(0, 0, 0)).as("round=%d", round).isZero();
            }
            device.config().write(4, 2, 6);
        }
        vm.vcpu(1).interrupt();
        assertInterrupted(writer);
    }

    @Test
    void whatADeviceWritesToRamIsSeenByTheGuestAndDirty() {
        attach();
        var slots = vm.slots();
        Memslot ram = Objects.requireNonNull(slots.find(0));
        UserMemoryRegion region = ram.region();
        slots.setUserMemoryRegion(
                new UserMemoryRegion(
                        region.slot(),
                        SlotFlags.LOG_DIRTY_PAGES,
                        region.gpa(),
                        region.sizeBytes(),
                        region.hva()));

        driverDevice(0)
                .context
                .guestMemory()
                .write(3 * Page.SIZE - 4, MemorySegment.ofArray(new long[] {-1}));

        DirtyBitmap log = Objects.requireNonNull(Objects.requireNonNull(slots.find(0)).bitmap());
        for (int page = 0; page < 8; page++) {
            assertThat(log.test(page)).as("page %d", page).isEqualTo(page == 2 || page == 3);
        }
        assertThat(read(new Span(3 * Page.SIZE - 4, 8, 1, 0))).containsExactly(-1L);
    }

    @Test
    void aDeviceInAMachineIsNotGivenToAnotherNorRemoved() {
        AttachedDevice device = attach();

        assertThatThrownBy(() -> vm.attach(device.mdev()))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EBUSY));
        assertThatThrownBy(() -> bus.remove(device.mdev().uuid()))
                .hasMessageContaining("assigned to vm");
    }

    @Test
    void whatDoesNotFitIsRefusedWithTheReasonAndFitsAfterARemoval() {
        Mdev one = create();
        create();

        assertThatThrownBy(this::create)
                .isInstanceOfSatisfying(
                        MdevException.class,
                        e -> {
                            assertThat(e.errno()).isEqualTo(Errno.EUSERS);
                            assertThat(e).hasMessageContaining("64 pages");
                        });
        assertThat(bus.remove(one.uuid()).trouble()).isEmpty();
        create();
    }

    @Test
    void aRemovedDevicesBytesAreGoneBeforeItsPagesAreGivenOn() {
        AttachedDevice device = attach();
        assertCompleted(run(write(pages(bar(device, 0), DEVICE_PAGES), 0x5ec7e7, 0)));
        vm.detach(device.mdev().uuid());
        bus.remove(device.mdev().uuid());

        AttachedDevice next = attach();

        assertCompleted(run(check(pages(bar(next, 0), DEVICE_PAGES), 0, 0)));
    }

    @Test
    void aProgramStopsAtItsDeadline() throws Exception {
        GuestProgram endless = endless(write(new Span(0, 8, 1L << 31, 0), 0, 0));
        long completed = 0;
        for (long millis = 100; completed == 0; millis *= 2) {
            ProgramResult result =
                    vm.vcpu(0)
                            .execute(endless, Duration.ofMillis(millis))
                            .get(DEADLINE.toSeconds(), TimeUnit.SECONDS);
            assertThat(result.end()).isEqualTo(ProgramResult.End.INTERRUPTED);
            // On a busy machine the deadline may come before the first access.
            completed = result.steps().stream().mapToLong(StepResult::completed).sum();
        }
        assertCompleted(run(write(new Span(0, 8, 1, 0), 0, 0)));
    }

    @Test
    void aDriverThatHangsFailsTheProgramAndLeavesTheOtherProcessorsAlone() throws Exception {
        AttachedDevice device = attach();
        AttachedDevice healthy = attach();
        CountDownLatch entered = new CountDownLatch(1);
        CountDownLatch release = new CountDownLatch(1);
        var good = driver.answer;
        driver.answer =
                (d, request) -> {
                    if (d == driverDevice(0)) {
                        entered.countDown();
                        awaitUninterruptibly(release);
                    }
                    return good.apply(d, request);
                };
        CompletableFuture<ProgramResult> hung = hang(bar(device, 0), entered);
        try {
            assertCompleted(
                    vm.vcpu(1)
                            .execute(program(write(pages(bar(healthy, 0), 8), 1, 0)), DEADLINE)
                            .get(DEADLINE.toSeconds(), TimeUnit.SECONDS));
            assertHungProgramEnds(hung);
        } finally {
            release.countDown();
        }
    }

    /// Begins a program whose fault does not end.
    ///
    /// @param entered opens when the driver is asked
    private CompletableFuture<ProgramResult> hang(long gpa, CountDownLatch entered) {
        Duration deadline = HUNG_AFTER;
        while (true) {
            CompletableFuture<ProgramResult> hung =
                    vm.vcpu(0).execute(program(write(new Span(gpa, 8, 1, 0), 1, 0)), deadline);
            Together.await(
                    "the program is in the driver, or ends",
                    () -> entered.getCount() == 0 || hung.isDone());
            if (entered.getCount() == 0 || hung.isCompletedExceptionally()) {
                return hung;
            }
            // On a busy machine the deadline may come before the first access.
            deadline = deadline.multipliedBy(2);
        }
    }

    /// A program's fault is in a driver's callback that does not return, and its deadline is over.
    /// Here, the processor's own thread is in the callback: it cannot be had back.
    protected void assertHungProgramEnds(CompletableFuture<ProgramResult> hung) throws Exception {
        assertThatThrownBy(() -> hung.get(DEADLINE.toSeconds(), TimeUnit.SECONDS))
                .cause()
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ETIMEDOUT));
    }

    @Test
    void closingTheMachineInTheMiddleOfAProgramReturns() {
        AttachedDevice device = attach();
        CompletableFuture<ProgramResult> running =
                vm.vcpu(0)
                        .execute(
                                endless(write(new Span(bar(device, 0), 8, 1L << 31, 0), 0, 0)),
                                DEADLINE);

        vm.close();

        assertThat(running.join().end()).isEqualTo(ProgramResult.End.INTERRUPTED);
        assertThat(device.mdev().holder()).isEmpty();
        assertThatThrownBy(() -> vm.vcpu(0).execute(program(), DEADLINE))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ESHUTDOWN));
    }

    private static void awaitUninterruptibly(CountDownLatch latch) {
        boolean interrupted = false;
        while (true) {
            try {
                latch.await();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
