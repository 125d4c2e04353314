package dev.mdev.core.engine.barfile;

import static dev.mdev.core.engine.ScriptedDriver.DEVICE_PAGES;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.mapping.FaultRecord;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/// What a client in another process and a driver see of a BAR file.
@Timeout(value = 600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class BarFileTest extends BarWorld {
    @Test
    void eachFirstTouchOfAPageAsksTheDriverOnceAndLaterTouchesDoNot() throws Exception {
        MdevAssignment assignment = assign();
        BarFile file = open(assignment);
        BarClient client = client(file);
        assertThat(device(0).requests).isEmpty();

        client.fill(0, 16, 0x1000);

        assertThat(client.mismatches(0, 16, 0x1000)).isZero();
        assertThat(device(0).requests)
                .hasSize(16)
                .allMatch(request -> request.reason() == MapRequest.Reason.FIRST_TOUCH)
                .extracting(MapRequest::page)
                .doesNotHaveDuplicates();
        awaitResident(file, 16);
        assertThat(assignment.mdev().residentPages()).isEqualTo(16);
    }

    @Test
    void eachPageIsLazyAlsoInHugePages() throws Exception {
        MdevAssignment assignment = assign();
        BarFile file = open(assignment);
        BarClient client = later(BarClient.startWithHugePages(program, file));

        client.store(at(20), 7);
        client.store(at(40), 8);

        assertThat(device(0).requests).extracting(MapRequest::page).containsExactly(20L, 40L);
        awaitResident(file, 2);
    }

    @Test
    void aGrantOfManyPagesIsAskedForOnceAndReadAtOnce() throws Exception {
        driver.answer =
                (device, request) -> {
                    long first = request.page() / 32 * 32;
                    PfnRange run = device.extentFrom(first);
                    return new MapDecision.Grant(
                            first, new PfnRange(run.firstPfn(), 32), Prot.READ_WRITE);
                };
        BarFile file = open(assign());
        BarClient client = client(file);

        client.fill(0, DEVICE_PAGES, 5);

        assertThat(device(0).requests).hasSize(2);
        awaitResident(file, DEVICE_PAGES);
        assertThat(client.mismatches(0, DEVICE_PAGES, 5)).isZero();
    }

    @Test
    void revokedPagesHaveTheirContentInTheDeviceAndAskAgain() throws Exception {
        MdevAssignment assignment = assign();
        BarFile file = open(assignment);
        BarClient client = client(file);
        client.fill(0, 16, 0x55);

        assignment.mdev().revoke(0, 0, DEVICE_PAGES);

        assertThat(file.residentPages()).isZero();
        for (int page = 0; page < 16; page++) {
            assertThat(deviceLong(0, page)).isEqualTo(0x55 + page);
            setDeviceLong(0, page, 0x77 + page);
        }
        assertThat(client.mismatches(0, 16, 0x77)).isZero();
        assertThat(device(0).requests.subList(16, 32))
                .allMatch(request -> request.reason() == MapRequest.Reason.AFTER_REVOKE);
    }

    @Test
    void aRevokedPageMayComeBackAsAnotherPhysicalPage() throws Exception {
        MdevAssignment assignment = assign();
        AtomicLong shift = new AtomicLong();
        driver.answer =
                (d, request) ->
                        MapDecision.grantPage(
                                request, d.pfnOf(request.page() + shift.get()), Prot.READ_WRITE);
        BarClient client = client(open(assignment));
        client.store(0, 11);

        shift.set(5);
        assignment.mdev().revoke(0, 0, 1);
        client.store(0, 22);

        assertThat(deviceLong(0, 0)).isEqualTo(11);
        assertThat(deviceLong(0, 5)).isEqualTo(22);
    }

    @Test
    void theDeviceAndTheClientSeeEachOthersStoresWhileAPageIsGranted() throws Exception {
        BarClient client = client(open(assign()));

        for (int round = 1; round <= 100; round++) {
            client.store(at(3), round);
            assertThat(deviceLong(0, 3)).as("round=%d", round).isEqualTo(round);
            setDeviceLong(0, 3, -round);
            assertThat(client.load(at(3))).as("round=%d", round).isEqualTo(-round);
        }
        assertThat(device(0).requests).hasSize(1);
    }

    @Test
    void aDeniedPageReadsAsOnesAndIsRecordedAndTheNextPageWorks() throws Exception {
        AtomicBoolean denies = new AtomicBoolean(true);
        driver.answer =
                (device, request) ->
                        request.page() == 1 && denies.get()
                                ? new MapDecision.Deny("guard page")
                                : MapDecision.grantPage(
                                        request, device.pfnOf(request.page()), Prot.READ_WRITE);
        MdevAssignment assignment = assign();
        BarFile file = open(assignment);
        BarClient client = client(file);

        assertThat(client.load(at(1))).isEqualTo(-1);
        client.store(at(1), 5);
        client.store(at(2), 3);

        assertThat(deviceLong(0, 1)).isZero();
        assertThat(assignment.mdev().recentFaults())
                .anyMatch(record -> record.outcome() == FaultRecord.Outcome.DENIED);
        assertThat(file.counts().refused()).isOne();
        assertThat(file.counts().lastRefusal()).contains("guard page");

        denies.set(false);
        assignment.mdev().revoke(0, 1, 1);

        assertThat(client.load(at(1))).as("asked again").isZero();
        client.store(at(1), 6);
        assertThat(deviceLong(0, 1)).isEqualTo(6);
    }

    @Test
    void closingTheFileGivesItsContentBackAndLeavesOnes() throws Exception {
        MdevAssignment assignment = assign();
        BarFile file = open(assignment);
        BarClient client = client(file);
        client.fill(0, 8, 0x21);

        file.close();

        assertThat(deviceLong(0, 7)).isEqualTo(0x28);
        assertThat(client.load(0)).isEqualTo(-1);
        client.store(0, 1);
        assertThat(deviceLong(0, 0)).isEqualTo(0x21);
        assertThat(assignment.mdev().residentPages()).isZero();
    }
}
