package dev.mdev.core.bus;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.device.Mdev;
import dev.mdev.core.driver.CallReport;
import dev.mdev.core.driver.CallWatchdog;
import dev.mdev.core.driver.DriverCalls;
import dev.mdev.core.driver.DriverOutcome;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.time.Duration;
import java.util.List;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;

@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class CallWatchdogTest {
    private static final UUID ONE = new UUID(12, 1);

    private final CountDownLatch goOn = new CountDownLatch(1);

    @Test
    void aCallThatDoesNotReturnIsToldOnceWhileItRuns() throws Exception {
        LinkedBlockingQueue<CallReport> told = new LinkedBlockingQueue<>();
        try (CallWatchdog watch = new CallWatchdog(Duration.ofMillis(40), told::add)) {
            DriverCalls calls =
                    watch.add(new DriverCalls("mdev=x", Duration.ofMillis(40), (_, _, _) -> {}));
            DriverCalls others =
                    watch.add(new DriverCalls("mdev=y", Duration.ofMillis(40), (_, _, _) -> {}));
            watch.start();
            Thread stuck = Thread.ofPlatform().start(() -> block(calls, "validateMapRequest"));
            CallReport first = told.take();
            Thread second = Thread.ofPlatform().start(() -> block(others, "read"));

            CallReport next = told.take();

            assertThat(first.owner()).isEqualTo("mdev=x");
            assertThat(first.callback()).isEqualTo("validateMapRequest");
            assertThat(first.durationNanos()).isGreaterThan(40_000_000);
            assertThat(first.finished()).isFalse();
            assertThat(next.owner()).as("the first is not told again").isEqualTo("mdev=y");
            goOn.countDown();
            stuck.join();
            second.join();
        }
    }

    private void block(DriverCalls calls, String callback) {
        DriverOutcome<Integer> outcome =
                calls.call(
                        callback,
                        () -> {
                            Deadlines.await(goOn);
                            return 1;
                        });
        assertThat(outcome).isEqualTo(new DriverOutcome.Returned<>(1));
    }

    @Test
    void theOperatorSeesAStuckCallbackOfADeviceAndOfAParent() throws Exception {
        Card card = new Card("gpu0", 16, false).with("t4", 4, 1, true);
        BusWorld world = new BusWorld(new SplittableRandom(1), Duration.ofMillis(100), card).plug();
        world.driver.onCreate = _ -> Deadlines.await(goOn);
        CompletableFuture<Mdev> making =
                CompletableFuture.supplyAsync(() -> world.bus.create(ONE, "gpu0", "t4"));

        // On a slow machine, other callbacks are told too.
        world.await(() ->
                world.facts(MdevEvent.CallbackOverdue.class).stream()
                        .map(MdevEvent.CallbackOverdue::call)
                        .anyMatch(call ->
                                call.owner().equals("parent=gpu0")
                                        && call.callback().equals("create")));

        goOn.countDown();
        making.get();
        assertThat(world.slowCalls)
                .filteredOn(CallReport::finished)
                .extracting(CallReport::callback)
                .contains("create");
        world.close();
    }

    @Test
    void onlyCallbacksOverTheThresholdAreReportedAsSlow() {
        List<CallReport> slow = new CopyOnWriteArrayList<>();
        MdevObserver observer =
                new MdevObserver() {
                    @Override
                    public void slowCallback(CallReport report) {
                        slow.add(report);
                    }
                };
        BusObserver patient =
                new BusObserver(new BusOptions(Duration.ofHours(1), Duration.ofHours(1), observer));
        BusObserver strict =
                new BusObserver(new BusOptions(Duration.ofHours(1), Duration.ZERO, observer));

        patient.called("parent=p", "create", 1_000_000);
        assertThat(slow).isEmpty();
        strict.called("parent=p", "create", 1_000_000);
        assertThat(slow)
                .singleElement()
                .satisfies(report -> {
                    assertThat(report.durationNanos()).isEqualTo(1_000_000);
                    assertThat(report.finished()).isTrue();
                });
    }

    @Test
    void theWatchEndsWithTheBus() throws Exception {
        BusWorld world = new BusWorld(new Card("gpu0", 4, false)).plug();
        Thread watch = world.bus.context().watch().thread();
        assertThat(watch.getName()).isEqualTo("mdev-call-watch");
        assertThat(watch.isDaemon()).isTrue();

        world.close();

        watch.join();
    }
}
