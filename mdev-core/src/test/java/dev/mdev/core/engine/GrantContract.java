package dev.mdev.core.engine;

import static dev.mdev.core.engine.ScriptedDriver.DEVICE_PAGES;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.mapping.FaultRecord;
import dev.mdev.core.vm.AttachedDevice;
import dev.mdev.core.vm.ProgramResult;
import dev.mdev.core.vm.StepResult;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/// The requests to a driver when a guest accesses its pages, and the effects of its answers, on
/// every engine. Each engine has a test that extends this.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
public abstract class GrantContract extends EngineMachine {
    private static final int REVOCATIONS = Integer.getInteger("mdev.revocations", 2000);

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

    @Test
    void attachingMapsNothing() {
        AttachedDevice device = attach();

        assertThat(driverDevice(0).requests).isEmpty();
        assertThat(device.mdev().residentPages()).isZero();
    }

    @Test
    void aRangeGrantMapsAllOfItWithOneQuestion() {
        driver.answer =
                (device, request) -> {
                    long first = request.page() / 16 * 16;
                    PfnRange run = device.extentFrom(first);
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

    /// A driver that grants many pages read-only, and all of them writable at the first store, is
    /// asked twice, not once a page.
    @Test
    void anUpgradeWidensAllPagesOfItsGrant() {
        driver.answer =
                (device, request) -> {
                    PfnRange run = device.extentFrom(0);
                    Prot prot = request.access() == Access.READ ? Prot.READ : Prot.READ_WRITE;
                    return new MapDecision.Grant(0, new PfnRange(run.firstPfn(), 16), prot);
                };
        AttachedDevice device = attach();
        long bar = bar(device, 0);

        assertThat(read(new Span(bar, 8, 1, 0))).containsExactly(0L);
        assertCompleted(run(write(pages(bar, 16), 5, 1)));

        assertThat(driverDevice(0).requests)
                .extracting(MapRequest::reason)
                .containsExactly(MapRequest.Reason.FIRST_TOUCH, MapRequest.Reason.UPGRADE);
        assertThat(device.mdev().residentPages()).isEqualTo(16);
        assertThat(deviceLong(0, 15, 0)).isEqualTo(20);
    }

    /// What an upgrade's grant says of a neighbour that is mapped to something else is not taken.
    @Test
    void anUpgradeLeavesANeighbourThatIsMappedToAnotherPage() {
        AtomicBoolean moved = new AtomicBoolean();
        driver.answer =
                (device, request) -> {
                    if (request.access() == Access.READ) {
                        return MapDecision.grantPage(
                                request, device.pfnOf(request.page()), Prot.READ);
                    }
                    long firstPfn = device.pfnOf(moved.get() ? 1 : 0);
                    return new MapDecision.Grant(0, new PfnRange(firstPfn, 4), Prot.READ_WRITE);
                };
        AttachedDevice device = attach();
        long bar = bar(device, 0);
        read(pages(bar, 4));

        moved.set(true);
        assertCompleted(run(write(new Span(bar, 8, 1, 0), 7, 0)));
        moved.set(false);
        assertCompleted(run(write(new Span(bar + Page.SIZE, 8, 1, 0), 9, 0)));

        assertThat(driverDevice(0).requests.subList(4, 6))
                .as("the second page was read-only still")
                .extracting(MapRequest::reason)
                .containsOnly(MapRequest.Reason.UPGRADE);
        assertThat(deviceLong(0, 1, 0)).as("the last store to the share's page 1").isEqualTo(9);
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
        assertThat(fault.refusal().reason()).contains("guard page");
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

        assertThat(result.steps().getFirst().fault().orElseThrow().refusal().reason())
                .contains("driver bug");
        assertThat(device.mdev().recentFaults().getFirst().outcome())
                .isEqualTo(FaultRecord.Outcome.FAILED);
        driver.answer = good;
        assertCompleted(run(write(new Span(bar, 8, 1, 0), 1, 0)));
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
        for (int round = 0; round < REVOCATIONS; round++) {
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

    /// Seven is coprime to 64, so each page is accessed once, and none after its neighbour below.
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
        driver.answer = GrantContract::grantAll;
        return attach();
    }

    /// Grants the whole window, as far as the device's pages are in one piece.
    private static MapDecision grantAll(ScriptedDriver.Device device, MapRequest request) {
        PfnRange run = device.extentFrom(request.firstPage());
        long npages = Math.min(run.npages(), request.endPage() - request.firstPage());
        return new MapDecision.Grant(
                request.firstPage(), new PfnRange(run.firstPfn(), npages), Prot.READ_WRITE);
    }
}
