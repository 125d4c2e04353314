package dev.mdev.core.engine;

import static dev.mdev.core.engine.ScriptedDriver.DEVICE_PAGES;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.device.FaultRecord;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevBus;
import dev.mdev.core.device.MdevObserver;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.vm.AttachedDevice;
import dev.mdev.core.vm.GuestProgram;
import dev.mdev.core.vm.GuestProgram.Step;
import dev.mdev.core.vm.MachineSpec;
import dev.mdev.core.vm.ProgramResult;
import dev.mdev.core.vm.StepResult;
import dev.mdev.core.vm.VirtualMachine;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/// What a guest, a driver and an operator see, whatever engine runs the guest. Each engine's test
/// extends this.
@Timeout(value = 180, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
public abstract class EngineContract {
    protected static final Duration DEADLINE = Duration.ofSeconds(60);

    /// Long enough for a busy machine to bring a program to its first fault.
    private static final Duration HUNG_AFTER = Duration.ofSeconds(2);

    private static final long RAM_BYTES = 1L << 20;
    private static final int VCPUS = 3;

    private HostMemory memory;
    private ScriptedDriver driver;
    private MdevBus bus;
    private VirtualMachine vm;

    /// The engine under test.
    protected abstract Engine engine();

    /// Memory that the engine can map.
    protected abstract HostMemory newMemory();

    @BeforeEach
    void start() {
        memory = newMemory();
        driver = new ScriptedDriver();
        bus = new MdevBus(memory, DEADLINE, MdevObserver.NONE);
        bus.addDriver(driver, Map.of());
        vm = new VirtualMachine(new MachineSpec("vm", RAM_BYTES, VCPUS), engine(), memory);
    }

    @AfterEach
    void stop() {
        vm.close();
        bus.close();
        memory.close();
    }

    @Test
    void eachFirstTouchOfAPageAsksTheDriverOnceAndLaterTouchesDoNot() {
        AttachedDevice device = attach();
        long bar = bar(device, 0);

        assertCompleted(run(write(pages(bar, 16), 0x1000, 1)));
        assertCompleted(run(check(pages(bar, 16), 0x1000, 1), write(pages(bar, 16), 7, 0)));

        assertThat(driverDevice(0).requests)
                .hasSize(16)
                .allMatch(request -> request.reason() == MapRequest.Reason.FIRST_TOUCH)
                .extracting(MapRequest::page)
                .doesNotHaveDuplicates();
        assertThat(device.mdev().faultCount()).isEqualTo(16);
        assertThat(device.mdev().residentPages()).isEqualTo(16);
    }

    /// Twice as much at each fault in order: 1, 2, 4, 8 and 16 pages, then the rest of the area.
    @Test
    void aSweepThroughAnAreaThatAllowsItAsksForMoreAndMore() {
        AttachedDevice device = attachWithAhead(16);

        assertCompleted(run(write(pages(bar(device, 0), 64), 0x1000, 1)));

        assertThat(driverDevice(0).requests)
                .extracting(request -> request.page() + "+" + (request.endPage() - request.page()))
                .containsExactly("0+1", "1+2", "3+4", "7+8", "15+16", "31+16", "47+16", "63+1");
        assertThat(device.mdev().faultCount()).isEqualTo(8);
        assertThat(device.mdev().residentPages()).isEqualTo(64);
        assertCompleted(run(check(pages(bar(device, 0), 64), 0x1000, 1)));
        assertThat(device.mdev().faultCount()).isEqualTo(8);
    }

    /// Seven is coprime to 64, so each page is touched once, and none after its neighbour below.
    @Test
    void touchesOutOfOrderAskForNoPageThatIsNotTouched() {
        AttachedDevice device = attachWithAhead(16);
        long bar = bar(device, 0);

        for (int i = 0; i < 40; i++) {
            long page = i * 7L % DEVICE_PAGES;
            assertCompleted(run(write(new Span(bar + page * Page.SIZE, 8, 1, 0), i, 0)));
        }

        assertThat(driverDevice(0).requests).hasSize(40);
        assertThat(device.mdev().residentPages()).isEqualTo(40);
    }

    @Test
    void aRevocationMakesTheHostAskForOnePageAgain() {
        AttachedDevice device = attachWithAhead(16);
        long bar = bar(device, 0);
        assertCompleted(run(write(pages(bar, 15), 0, 1)));
        driverDevice(0).requests.clear();

        device.mdev().revoke(0, 8, 7);
        assertCompleted(run(check(pages(bar, 15), 0, 1), write(pages(bar, 20), 0, 1)));

        assertThat(driverDevice(0).requests)
                .extracting(request -> request.page() + "+" + (request.endPage() - request.page()))
                .containsExactly("8+1", "9+2", "11+4", "15+8");
    }

    /// What the driver cannot do for many pages it is asked to do for one.
    @Test
    void aQuestionForMorePagesThatFailsHarmsNoAccess() {
        AttachedDevice device = attachWithAhead(16);
        driver.answer =
                (d, request) ->
                        switch ((int) (request.endPage() - request.page())) {
                            case 1 -> grantAll(d, request);
                            case 2 -> new MapDecision.Deny("not two at a time");
                            default -> throw new IllegalStateException("not so many");
                        };

        assertCompleted(run(write(pages(bar(device, 0), 8), 0x1000, 1)));

        assertThat(device.mdev().faultCount()).as("faults of the guest").isEqualTo(8);
        assertThat(device.mdev().residentPages()).isEqualTo(8);
        assertThat(device.mdev().recentFaults())
                .filteredOn(fault -> fault.outcome() != FaultRecord.Outcome.GRANTED)
                .isNotEmpty()
                .allMatch(fault -> fault.request().reason() == MapRequest.Reason.PREFETCH);
    }

    @Test
    void aPageThatIsDeniedIsDeniedThoughItWasAskedForWithOthers() {
        AttachedDevice device = attachWithAhead(16);
        driver.answer =
                (d, request) ->
                        request.page() >= 8
                                ? new MapDecision.Deny("past the end")
                                : grantAll(d, request.endPage() <= 8 ? request : upTo(request, 8));

        ProgramResult result = run(write(pages(bar(device, 0), 9), 0, 1));

        assertThat(result.end()).isEqualTo(ProgramResult.End.FAULTED);
        assertThat(result.steps().getFirst().completed()).isEqualTo(8);
        assertThat(device.mdev().residentPages()).isEqualTo(8);
        assertThat(device.mdev().faultCounts()).containsEntry(FaultRecord.Outcome.DENIED, 2L);
    }

    private static MapRequest upTo(MapRequest request, long endPage) {
        return new MapRequest(
                request.region(),
                request.page(),
                request.firstPage(),
                endPage,
                request.access(),
                request.reason());
    }

    /// Processors that touch the same page at the same time wait for one answer.
    @Test
    void processorsThatSweepTogetherAskForNothingTwice() {
        AttachedDevice device = attachWithAhead(16);
        List<CompletableFuture<ProgramResult>> running = new ArrayList<>();
        for (int vcpu = 0; vcpu < VCPUS; vcpu++) {
            running.add(
                    vm.vcpu(vcpu)
                            .execute(program(write(pages(bar(device, 0), 64), 7, 0)), DEADLINE));
        }
        running.forEach(result -> assertCompleted(result.join()));

        assertThat(driverDevice(0).requests)
                .extracting(MapRequest::page)
                .doesNotHaveDuplicates()
                .hasSizeLessThan(64);
        assertThat(device.mdev().residentPages()).isEqualTo(64);
    }

    private AttachedDevice attachWithAhead(int pages) {
        driver.aheadPages = pages;
        driver.answer = EngineContract::grantAll;
        return attach();
    }

    /// Grants the whole window, as far as the device's pages are in one piece.
    private static MapDecision grantAll(ScriptedDriver.Device device, MapRequest request) {
        PfnRange run = device.runFrom(request.firstPage());
        long npages = Math.min(run.npages(), request.endPage() - request.firstPage());
        return new MapDecision.Grant(
                request.firstPage(), new PfnRange(run.firstPfn(), npages), Prot.READ_WRITE);
    }

    @Test
    void attachingMapsNothing() {
        AttachedDevice device = attach();

        assertThat(driverDevice(0).requests).isEmpty();
        assertThat(device.mdev().residentPages()).isZero();
    }

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
    void aRangeGrantMapsAllOfItWithOneQuestion() {
        driver.answer =
                (device, request) -> {
                    long first = request.page() / 16 * 16;
                    PfnRange run = device.runFrom(first);
                    return new MapDecision.Grant(
                            first, new PfnRange(run.firstPfn(), 16), Prot.READ_WRITE);
                };
        AttachedDevice device = attach();

        assertCompleted(run(write(pages(bar(device, 0), DEVICE_PAGES), 1, 1)));

        assertThat(driverDevice(0).requests).hasSize((int) DEVICE_PAGES / 16);
        assertThat(device.mdev().residentPages()).isEqualTo(DEVICE_PAGES);
    }

    @Test
    void revokedPagesFaultAgainAndHaveTheContentTheyHad() {
        AttachedDevice device = attach();
        long bar = bar(device, 0);
        assertCompleted(run(write(pages(bar, 16), 0x55, 3)));

        device.mdev().revoke(0, 0, DEVICE_PAGES);

        assertThat(device.mdev().residentPages()).isZero();
        assertCompleted(run(check(pages(bar, 16), 0x55, 3)));
        assertThat(driverDevice(0).requests.subList(16, 32))
                .allMatch(request -> request.reason() == MapRequest.Reason.AFTER_REVOKE);
    }

    @Test
    void aRevokedPageMayComeBackAsAnotherPhysicalPage() {
        AttachedDevice device = attach();
        long bar = bar(device, 0);
        AtomicLong shift = new AtomicLong();
        driver.answer =
                (d, request) ->
                        MapDecision.grantPage(
                                request, d.pfnOf(request.page() + shift.get()), Prot.READ_WRITE);
        assertCompleted(run(write(new Span(bar, 8, 1, 0), 11, 0)));

        shift.set(5);
        device.mdev().revoke(0, 0, 1);
        assertCompleted(run(write(new Span(bar, 8, 1, 0), 22, 0)));

        assertThat(deviceLong(0, 0, 0)).isEqualTo(11);
        assertThat(deviceLong(0, 5, 0)).isEqualTo(22);
    }

    @Test
    void aReadOnlyGrantServesLoadsAndAStoreAsksForAnUpgrade() {
        driver.answer =
                (device, request) ->
                        MapDecision.grantPage(
                                request,
                                device.pfnOf(request.page()),
                                request.access() == Access.READ ? Prot.READ : Prot.READ_WRITE);
        AttachedDevice device = attach();
        long bar = bar(device, 0);

        assertThat(read(new Span(bar, 8, 1, 0))).containsExactly(0L);
        assertCompleted(run(write(new Span(bar, 8, 1, 0), 9, 0)));

        assertThat(deviceLong(0, 0, 0)).isEqualTo(9);
        assertThat(driverDevice(0).requests.getLast().access()).isEqualTo(Access.WRITE);
    }

    @Test
    void aDeniedPageFaultsTheGuestWithTheDriversReasonAndTheNextPageWorks() {
        driver.answer =
                (device, request) ->
                        request.page() == 1
                                ? new MapDecision.Deny("guard page")
                                : MapDecision.grantPage(
                                        request, device.pfnOf(request.page()), Prot.READ_WRITE);
        AttachedDevice device = attach();
        long bar = bar(device, 0);

        ProgramResult result = run(write(pages(bar, 3), 1, 1));

        assertThat(result.end()).isEqualTo(ProgramResult.End.FAULTED);
        StepResult step = result.steps().getFirst();
        assertThat(step.completed()).isOne();
        VcpuExit.Fault fault = step.fault().orElseThrow();
        assertThat(fault.gpa()).isEqualTo(bar + Page.SIZE);
        assertThat(fault.reason()).contains("guard page");
        assertCompleted(run(write(new Span(bar + 2 * Page.SIZE, 8, 1, 0), 3, 0)));
        assertThat(device.mdev().recentFaults())
                .anyMatch(record -> record.outcome() == FaultRecord.Outcome.DENIED);
    }

    @Test
    void grantsThatBreakTheRulesAreRefusedAndMapNothing() {
        AttachedDevice victim = attach();
        assertCompleted(run(write(pages(bar(victim, 0), 4), 0x77, 0)));
        AttachedDevice device = attach();
        long foreign = driverDevice(0).pfnOf(0);
        List<MapDecision> bad =
                List.of(
                        new MapDecision.Grant(0, new PfnRange(foreign, 1), Prot.READ_WRITE),
                        new MapDecision.Grant(0, new PfnRange(0, 1), Prot.READ_WRITE),
                        new MapDecision.Grant(
                                0,
                                new PfnRange(driver.aperture().pfns().endPfn(), 1),
                                Prot.READ_WRITE),
                        new MapDecision.Grant(
                                0,
                                new PfnRange(driverDevice(1).pfnOf(0), DEVICE_PAGES + 1),
                                Prot.READ_WRITE),
                        new MapDecision.Grant(
                                1, new PfnRange(driverDevice(1).pfnOf(0), 1), Prot.READ_WRITE),
                        new MapDecision.Grant(
                                0, new PfnRange(driverDevice(1).pfnOf(0), 1), Prot.READ),
                        new MapDecision.Grant(
                                0, new PfnRange(driverDevice(1).pfnOf(0), 1), Prot.NONE));
        for (MapDecision decision : bad) {
            driver.answer = (d, request) -> decision;

            ProgramResult result = run(write(new Span(bar(device, 0), 8, 1, 0), 0xbad, 0));

            assertThat(result.end()).as("%s", decision).isEqualTo(ProgramResult.End.FAULTED);
            assertThat(device.mdev().recentFaults().getFirst().outcome())
                    .isEqualTo(FaultRecord.Outcome.REFUSED);
        }
        assertThat(device.mdev().residentPages()).isZero();
        assertCompleted(run(check(pages(bar(victim, 0), 4), 0x77, 0)));
    }

    @Test
    void aDriverThatThrowsFailsTheAccessAndIsRecordedAndTheDeviceGoesOn() {
        AttachedDevice device = attach();
        long bar = bar(device, 0);
        var good = driver.answer;
        driver.answer =
                (d, request) -> {
                    throw new IllegalStateException("driver bug");
                };

        ProgramResult result = run(write(new Span(bar, 8, 1, 0), 1, 0));

        assertThat(result.steps().getFirst().fault().orElseThrow().reason()).contains("driver bug");
        assertThat(device.mdev().recentFaults().getFirst().outcome())
                .isEqualTo(FaultRecord.Outcome.FAILED);
        driver.answer = good;
        assertCompleted(run(write(new Span(bar, 8, 1, 0), 1, 0)));
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
        assertThat(fault.errno()).isEqualTo(Errno.ENXIO);
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
                vm.vcpu(1).execute(program(write(new Span(bar, 8, 1L << 31, 0), 1, 1)), DEADLINE);
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
    void faultsOfSeveralProcessorsOnOnePageAskOnce() throws Exception {
        AttachedDevice device = attach();
        long bar = bar(device, 0);
        List<CompletableFuture<ProgramResult>> runs =
                vm.vcpus().stream()
                        .map(vcpu ->
                                vcpu.execute(
                                        program(write(pages(bar, DEVICE_PAGES), 1, 0)), DEADLINE))
                        .toList();
        for (CompletableFuture<ProgramResult> run : runs) {
            assertCompleted(run.get(DEADLINE.toSeconds(), TimeUnit.SECONDS));
        }

        assertThat(driverDevice(0).requests).hasSize((int) DEVICE_PAGES);
    }

    @Test
    void noStoreLandsInAPageAfterItsRevocationReturned() throws Exception {
        AttachedDevice device = attach();
        long bar = bar(device, 0);
        AtomicLong shift = new AtomicLong();
        driver.answer =
                (d, request) ->
                        MapDecision.grantPage(
                                request, d.pfnOf(request.page() + shift.get()), Prot.READ_WRITE);
        List<CompletableFuture<ProgramResult>> writers =
                vm.vcpus().stream()
                        .map(vcpu ->
                                vcpu.execute(
                                        program(
                                                write(
                                                        new Span(
                                                                bar + vcpu.id() * 8L,
                                                                8,
                                                                1L << 31,
                                                                0),
                                                        1,
                                                        1)),
                                        DEADLINE))
                        .toList();
        for (int round = 0; round < revocations(); round++) {
            int old = (int) shift.get();
            shift.set((old + 1) % 8);
            device.mdev().revoke(0, 0, 1);
            for (int vcpu = 0; vcpu < VCPUS; vcpu++) {
                setDeviceLong(0, old, vcpu * 8L, 0);
            }
            for (int spin = 0; spin < 20; spin++) {
                for (int vcpu = 0; vcpu < VCPUS; vcpu++) {
                    assertThat(deviceLong(0, old, vcpu * 8L))
                            .as("round=%d vcpu=%d", round, vcpu)
                            .isZero();
                }
            }
        }
        vm.vcpus().forEach(vcpu -> vcpu.interrupt());
        for (CompletableFuture<ProgramResult> writer : writers) {
            assertInterrupted(writer);
        }
    }

    private static void assertInterrupted(CompletableFuture<ProgramResult> running)
            throws Exception {
        ProgramResult result = running.get(DEADLINE.toSeconds(), TimeUnit.SECONDS);
        assertThat(result.end())
                .as(() -> result.toString())
                .isEqualTo(ProgramResult.End.INTERRUPTED);
    }

    /// How often the test above revokes.
    protected int revocations() {
        return Integer.getInteger("mdev.revocations", 2000);
    }

    @Test
    void aRevocationInsideTheCallbackIsAnsweredAnew() {
        AttachedDevice device = attach();
        AtomicBoolean first = new AtomicBoolean(true);
        driver.answer =
                (d, request) -> {
                    if (first.getAndSet(false)) {
                        d.context.revoke(0, 0, DEVICE_PAGES);
                    }
                    return MapDecision.grantPage(request, d.pfnOf(request.page()), Prot.READ_WRITE);
                };

        assertCompleted(run(write(new Span(bar(device, 0), 8, 1, 0), 1, 0)));

        assertThat(driverDevice(0).requests).hasSize(2);
    }

    @Test
    void aProgramStopsAtItsDeadline() throws Exception {
        GuestProgram endless = program(write(new Span(0, 8, 1L << 31, 0), 0, 0));
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
        CountDownLatch release = new CountDownLatch(1);
        var good = driver.answer;
        driver.answer =
                (d, request) -> {
                    if (d == driverDevice(0)) {
                        awaitUninterruptibly(release);
                    }
                    return good.apply(d, request);
                };
        CompletableFuture<ProgramResult> hung =
                vm.vcpu(0)
                        .execute(
                                program(write(new Span(bar(device, 0), 8, 1, 0), 1, 0)),
                                HUNG_AFTER);
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
                                program(write(new Span(bar(device, 0), 8, 1L << 31, 0), 0, 0)),
                                DEADLINE);

        vm.close();

        assertThat(running.join().end()).isEqualTo(ProgramResult.End.INTERRUPTED);
        assertThat(device.mdev().holder()).isEmpty();
        assertThatThrownBy(() -> vm.vcpu(0).execute(program(), DEADLINE))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ESHUTDOWN));
    }

    protected final VirtualMachine vm() {
        return vm;
    }

    protected final ScriptedDriver driver() {
        return driver;
    }

    protected final Mdev create() {
        return bus.create(UUID.randomUUID(), ScriptedDriver.PARENT, ScriptedDriver.TYPE);
    }

    protected final AttachedDevice attach() {
        return vm.attach(create());
    }

    protected final ScriptedDriver.Device driverDevice(int index) {
        return driver.devices.get(index);
    }

    protected static long bar(AttachedDevice device, int index) {
        return device.barGpa(index).orElseThrow();
    }

    /// One 8-byte access at the start of each of `npages` pages.
    protected static Span pages(long gpa, long npages) {
        return new Span(gpa, 8, npages, Page.SIZE);
    }

    protected static Step write(Span span, long value, long step) {
        return new Step.Write(span, value, step);
    }

    protected static Step check(Span span, long value, long step) {
        return new Step.Check(span, value, step);
    }

    protected static GuestProgram program(Step... steps) {
        return new GuestProgram(List.of(steps), false);
    }

    protected final ProgramResult run(Step... steps) {
        return vm.vcpu(0).execute(program(steps), DEADLINE).join();
    }

    private List<Long> read(Span span) {
        ProgramResult result = run(new Step.Read(span));
        assertCompleted(result);
        return result.steps().getFirst().values();
    }

    protected static void assertCompleted(ProgramResult result) {
        assertThat(result.end()).as(() -> result.toString()).isEqualTo(ProgramResult.End.COMPLETED);
        for (StepResult step : result.steps()) {
            assertThat(step.mismatches()).as(() -> result.toString()).isZero();
        }
    }

    private long deviceLong(int device, long page, long offset) {
        MemorySegment value = MemorySegment.ofArray(new long[1]);
        driver.aperture().read(apertureOffset(device, page) + offset, value);
        return value.get(ValueLayout.JAVA_LONG, 0);
    }

    private void setDeviceLong(int device, long page, long offset, long value) {
        driver.aperture()
                .write(
                        apertureOffset(device, page) + offset,
                        MemorySegment.ofArray(new long[] {value}));
    }

    private long apertureOffset(int device, long page) {
        return Page.addressOf(
                driverDevice(device).pfnOf(page) - driver.aperture().pfns().firstPfn());
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
