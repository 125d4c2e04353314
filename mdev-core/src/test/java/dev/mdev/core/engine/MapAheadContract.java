package dev.mdev.core.engine;

import static dev.mdev.core.engine.ScriptedDriver.DEVICE_PAGES;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.mapping.FaultRecord;
import dev.mdev.core.vm.AttachedDevice;
import dev.mdev.core.vm.ProgramResult;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/// Questions for more pages than the touched one, on any engine.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
public abstract class MapAheadContract extends EngineMachine {
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
        driver.answer = MapAheadContract::grantAll;
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
