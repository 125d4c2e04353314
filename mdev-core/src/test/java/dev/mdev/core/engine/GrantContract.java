package dev.mdev.core.engine;

import static dev.mdev.core.engine.ScriptedDriver.DEVICE_PAGES;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Caching;
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

    /// The memory of a software device is cached as main memory, and cannot be anything else.
    @Test
    void aGrantThatAsksForTheMemoryTypeOfItsPagesIsMappedAndAnyOtherIsRefused() {
        driver.answer =
                (d, request) ->
                        new MapDecision.Grant(
                                        request.page(),
                                        new PfnRange(d.pfnOf(request.page()), 1),
                                        Prot.READ_WRITE)
                                .withCaching(
                                        request.page() == 0
                                                ? Caching.WRITE_BACK
                                                : Caching.WRITE_COMBINING);
        AttachedDevice device = attach();
        long bar = bar(device, 0);

        assertCompleted(run(write(new Span(bar, 8, 1, 0), 1, 0)));
        ProgramResult refused = run(write(new Span(bar + Page.SIZE, 8, 1, 0), 1, 0));

        assertThat(refused.end()).isEqualTo(ProgramResult.End.FAULTED);
        assertThat(device.mdev().residentPages()).isEqualTo(1);
        assertThat(device.mdev().recentFaults())
                .extracting(FaultRecord::outcome)
                .containsExactly(FaultRecord.Outcome.REFUSED, FaultRecord.Outcome.GRANTED);
        assertThat(device.mdev().recentFaults().getFirst().answer())
                .contains("granted as WRITE_COMBINING", "are WRITE_BACK");
        assertThat(device.mdev().recentFaults().getLast().answer()).endsWith("WRITE_BACK");
    }

    /// A turn that was kept while the driver asks for time would keep the register away, too.
    @Test
    void aDriverThatIsToBeAskedAgainGetsItsOtherCallbacksMeanwhile() {
        driver.answer =
                (d, request) ->
                        d.registerAccesses.isEmpty()
                                ? new MapDecision.Again("a register comes first")
                                : MapDecision.grantPage(
                                        request, d.pfnOf(request.page()), Prot.READ_WRITE);
        AttachedDevice device = attach();
        Span word = new Span(bar(device, 0), 8, 1, 0);
        // A kernel makes no new processor while one waits for a page: that takes a memory slot.
        assertCompleted(vm.vcpu(1).execute(program(write(pages(0, 1), 1, 0)), DEADLINE).join());

        CompletableFuture<ProgramResult> touch =
                vm.vcpu(0).execute(program(write(word, 7, 0)), DEADLINE);
        while (driverDevice(0).requests.size() < 2) {
            Thread.onSpinWait();
        }
        Span register = new Span(bar(device, ScriptedDriver.TRAPPED_BAR), 4, 1, 0);
        assertCompleted(vm.vcpu(1).execute(program(write(register, 1, 0)), DEADLINE).join());

        assertCompleted(touch.join());
        assertThat(deviceLong(0, 0, 0)).isEqualTo(7);
        assertThat(device.mdev().faultCount()).isOne();
        assertThat(driverDevice(0).requests).containsOnly(driverDevice(0).requests.getFirst());
    }

    @Test
    void aProgramThatWaitsForADecisionIsInterrupted() throws Exception {
        driver.answer = (d, request) -> new MapDecision.Again("never");
        AttachedDevice device = attach();
        CompletableFuture<ProgramResult> touch =
                vm.vcpu(0)
                        .execute(program(write(new Span(bar(device, 0), 8, 1, 0), 7, 0)), DEADLINE);
        while (driverDevice(0).requests.size() < 2) {
            Thread.onSpinWait();
        }

        vm.vcpu(0).interrupt();

        assertInterrupted(touch);
        // Where another thread asks, it goes on until the deadline.
        driver.answer = (d, request) -> new MapDecision.Deny("the end");
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
                                        endless(
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
}
