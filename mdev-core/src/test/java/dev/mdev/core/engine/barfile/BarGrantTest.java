package dev.mdev.core.engine.barfile;

import static dev.mdev.core.engine.ScriptedDriver.DEVICE_PAGES;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.engine.ScriptedDriver;
import dev.mdev.core.mapping.FaultRecord;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;

/// The effects of a driver's answers on a client in another process: those of `GrantContract`, as
/// far as a file can have them.
@Timeout(value = 600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class BarGrantTest extends BarWorld {
    @Test
    void aPageThatIsGrantedForLoadsOnlyIsReadAndStoresToItAreLost() throws Exception {
        driver.answer =
                (device, request) ->
                        request.access() == Access.WRITE
                                ? new MapDecision.Deny("read only")
                                : MapDecision.grantPage(
                                        request, device.pfnOf(request.page()), Prot.READ);
        MdevAssignment assignment = assign();
        BarFile file = open(assignment);
        setDeviceLong(0, 0, 77);
        BarClient client = client(file);

        assertThat(client.load(0)).isEqualTo(77);
        client.store(0, 5);
        assertThat(deviceLong(0, 0)).isEqualTo(77);
        setDeviceLong(0, 0, 78);
        assertThat(client.load(0)).isEqualTo(78);
        client.store(0, 6);
        assignment.mdev().revoke(0, 0, 1);

        assertThat(deviceLong(0, 0)).isEqualTo(78);
        assertThat(file.counts().storesLost()).isPositive();
        assertThat(assignment.mdev().recentFaults())
                .extracting(FaultRecord::outcome)
                .containsExactly(FaultRecord.Outcome.GRANTED, FaultRecord.Outcome.DENIED);
    }

    @Test
    void aTrappedAnswerLeavesOnes() throws Exception {
        driver.answer = (device, request) -> new MapDecision.Trap();
        BarFile file = open(assign());
        BarClient client = client(file);

        assertThat(client.load(0)).isEqualTo(-1);

        assertThat(file.counts().lastRefusal()).contains("traps");
        assertThat(file.residentPages()).isZero();
    }

    @Test
    void grantsThatBreakTheRulesMapNothing() throws Exception {
        BarClient victim = client(open(assign()));
        victim.fill(0, 4, 0x77);
        MdevAssignment assignment = assign();
        BarFile file = open(assignment);
        BarClient client = client(file);
        long mine = device(1).pfnOf(0);
        List<MapDecision> bad =
                List.of(
                        new MapDecision.Grant(
                                0, new PfnRange(device(0).pfnOf(0), 1), Prot.READ_WRITE),
                        new MapDecision.Grant(0, new PfnRange(0, 1), Prot.READ_WRITE),
                        new MapDecision.Grant(
                                0,
                                new PfnRange(driver.aperture().pfns().endPfn(), 1),
                                Prot.READ_WRITE),
                        new MapDecision.Grant(
                                0, new PfnRange(mine, DEVICE_PAGES + 1), Prot.READ_WRITE),
                        new MapDecision.Grant(1, new PfnRange(mine, 1), Prot.READ_WRITE),
                        new MapDecision.Grant(0, new PfnRange(mine, 1), Prot.NONE));
        for (MapDecision decision : bad) {
            driver.answer = (d, request) -> decision;

            assertThat(client.load(0)).as("%s", decision).isEqualTo(-1);

            assertThat(assignment.mdev().recentFaults().getFirst().outcome())
                    .isEqualTo(FaultRecord.Outcome.REFUSED);
            assignment.mdev().revoke(0, 0, 1);
        }
        assertThat(file.residentPages()).isZero();
        assertThat(victim.mismatches(0, 4, 0x77)).isZero();
    }

    @Test
    void aDriverThatThrowsIsRecordedAndTheDeviceGoesOn() throws Exception {
        var good = driver.answer;
        driver.answer =
                (d, request) -> {
                    throw new IllegalStateException("driver bug");
                };
        MdevAssignment assignment = assign();
        BarFile file = open(assignment);
        BarClient client = client(file);

        assertThat(client.load(0)).isEqualTo(-1);

        assertThat(file.counts().lastRefusal()).contains("driver bug");
        assertThat(assignment.mdev().recentFaults().getFirst().outcome())
                .isEqualTo(FaultRecord.Outcome.FAILED);
        driver.answer = good;
        client.store(at(1), 4);
        assertThat(deviceLong(0, 1)).isEqualTo(4);
    }

    @Test
    void threadsThatTouchOnePageAtTheSameTimeAskOnce() throws Exception {
        BarFile file = open(assign());
        BarClient client = client(file);
        for (int word = 0; word < 8; word++) {
            client.startCounting(at(9) + word * 64L);
        }

        List<Long> counted = client.stopCounting();

        assertThat(counted.getLast()).as("threads that got SIGBUS").isZero();
        assertThat(device(0).requests).hasSize(1);
    }

    @Test
    void aRevocationInsideTheCallbackIsAnsweredAnew() throws Exception {
        AtomicBoolean first = new AtomicBoolean(true);
        driver.answer =
                (d, request) -> {
                    if (first.getAndSet(false)) {
                        d.context.revoke(0, 0, DEVICE_PAGES);
                    }
                    return MapDecision.grantPage(request, d.pfnOf(request.page()), Prot.READ_WRITE);
                };
        BarClient client = client(open(assign()));

        client.store(0, 1);

        assertThat(deviceLong(0, 0)).isOne();
        assertThat(device(0).requests).hasSize(2);
    }

    /// It must not be an error, which ends a machine.
    @Test
    void aRefusalThatRevocationsAlwaysOvertakeIsOnesInTheEnd() throws Exception {
        AtomicBoolean denies = new AtomicBoolean(true);
        driver.answer =
                (d, request) -> {
                    if (request.page() == 1 && denies.get()) {
                        d.context.revoke(0, 5, 1);
                        return new MapDecision.Deny("guard page");
                    }
                    return MapDecision.grantPage(request, d.pfnOf(request.page()), Prot.READ_WRITE);
                };
        MdevAssignment assignment = assign();
        BarFile file = open(assignment);
        BarClient client = client(file);

        assertThat(client.load(at(1))).isEqualTo(-1);

        assertThat(file.counts().timedOut()).isZero();
        denies.set(false);
        assignment.mdev().revoke(0, 1, 1);
        assertThat(client.load(at(1))).as("asked again").isZero();
    }

    /// A page that one device's file shows at two places would have two contents.
    @Test
    void aPhysicalPageIsVisibleAtOnePlaceOnly() throws Exception {
        driver.answer = (d, request) -> MapDecision.grantPage(request, d.pfnOf(0), Prot.READ_WRITE);
        BarFile file = open(assign());
        BarClient client = client(file);
        client.store(0, 3);

        assertThat(client.load(at(1))).isEqualTo(-1);

        assertThat(file.counts().lastRefusal()).contains("visible at another place");
        assertThat(deviceLong(0, 0)).isEqualTo(3);
    }

    @Test
    void aSweepThroughAnAreaThatAllowsItAsksForMoreAndMore() throws Exception {
        driver.aheadPages = 16;
        driver.answer = BarGrantTest::grantAll;
        BarFile file = open(assign());
        BarClient client = client(file);

        client.fill(0, 64, 0x1000);

        assertThat(device(0).requests)
                .extracting(request -> request.page() + "+" + (request.endPage() - request.page()))
                .containsExactly("0+1", "1+2", "3+4", "7+8", "15+16", "31+16", "47+16", "63+1");
        awaitResident(file, 64);
        assertThat(client.mismatches(0, 64, 0x1000)).isZero();
    }

    @Test
    void touchesOutOfOrderAskForNoPageThatIsNotTouched() throws Exception {
        driver.aheadPages = 16;
        driver.answer = BarGrantTest::grantAll;
        BarFile file = open(assign());
        BarClient client = client(file);

        for (int i = 0; i < 40; i++) {
            client.store(at(i * 7L % DEVICE_PAGES), i);
        }

        assertThat(device(0).requests).hasSize(40);
        awaitResident(file, 40);
    }

    @Test
    void aResetOfTheDeviceForgetsRefusalsAndGrants() throws Exception {
        AtomicBoolean denies = new AtomicBoolean(true);
        driver.answer =
                (device, request) ->
                        request.page() == 1 && denies.get()
                                ? new MapDecision.Deny("not yet")
                                : MapDecision.grantPage(
                                        request, device.pfnOf(request.page()), Prot.READ_WRITE);
        MdevAssignment assignment = assign();
        BarFile file = open(assignment);
        BarClient client = client(file);
        client.store(0, 1);
        assertThat(client.load(at(1))).isEqualTo(-1);

        denies.set(false);
        assignment.mdev().reset();

        assertThat(file.residentPages()).isZero();
        assertThat(client.load(at(1))).isZero();
        assertThat(client.load(0)).isOne();
    }

    @Test
    void anAccessByMessageSeesWhatTheClientSees() throws Exception {
        BarFile file = open(assign());
        BarClient client = client(file);
        client.store(at(2) + 8, 0x1234);
        long[] word = new long[1];

        assertThat(file.hostMm().copyFrom(file.hvaOf(at(2) + 8), MemorySegment.ofArray(word)))
                .isNull();
        assertThat(word[0]).isEqualTo(0x1234);
        word[0] = 0x5678;
        assertThat(file.hostMm().copyTo(file.hvaOf(at(2) + 8), MemorySegment.ofArray(word)))
                .isNull();
        assertThat(client.load(at(2) + 8)).isEqualTo(0x5678);
        assertThat(device(0).requests).hasSize(1);
    }

    /// Grants the whole window, as far as the device's pages are in one piece.
    private static MapDecision grantAll(ScriptedDriver.Device device, MapRequest request) {
        PfnRange run = device.extentFrom(request.firstPage());
        long npages = Math.min(run.npages(), request.endPage() - request.firstPage());
        return new MapDecision.Grant(
                request.firstPage(), new PfnRange(run.firstPfn(), npages), Prot.READ_WRITE);
    }
}
