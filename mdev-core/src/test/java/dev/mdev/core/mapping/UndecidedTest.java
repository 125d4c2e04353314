package dev.mdev.core.mapping;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.GrantCheck;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Access;
import dev.mdev.core.driver.DriverCalls;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.Fill;
import dev.mdev.core.hostmm.VmaFault;
import dev.mdev.core.sync.Cancellation;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

/// A driver that is asked again and again, because it does not decide.
@Timeout(value = 180, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class UndecidedTest {
    private static final Duration LONG = Duration.ofHours(1);
    private static final RegionArea AREA = RegionArea.lazyPages(0, 8);

    private final List<FaultRecord> told = new ArrayList<>();
    private final Undecided device = new Undecided();

    private static final class Undecided implements MdevDevice {
        private final CountDownLatch askedTwice = new CountDownLatch(2);
        private final AtomicInteger asked = new AtomicInteger();

        @Override
        public List<RegionInfo> regions() {
            return List.of();
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            asked.incrementAndGet();
            askedTwice.countDown();
            return new MapDecision.Again("the engine runs");
        }

        @Override
        public void reset() {}
    }

    private static DriverCalls calls(Duration deadline) {
        return new DriverCalls("mdev=x", deadline, (_, _, _) -> {});
    }

    private RegionVmaOps ops(DriverCalls calls) {
        GrantCheck none = new GrantCheck(List.of(), List.of(), _ -> Optional.empty());
        return new RegionVmaOps(
                0, AREA, () -> device, calls, new RegionVmaOps.Checks(none, List.of(), told::add));
    }

    private static VmaFault fault(VmaFault.Reason reason) {
        return new VmaFault(3, 0, 8, Access.READ, reason);
    }

    private static void assertFailed(Fill fill, Errno errno, String... words) {
        assertThat(fill)
                .isInstanceOfSatisfying(
                        FaultResult.Failed.class,
                        failed -> {
                            assertThat(failed.refusal().errno()).isEqualTo(errno);
                            assertThat(failed.refusal().reason()).contains(words);
                        });
    }

    @Test
    void theAccessFailsAtTheDeadlineAndTheDriverIsNamedOnce() {
        long millis = 50;
        Fill fill;
        // On a slow machine, there is no time for a second question.
        do {
            millis *= 2;
            told.clear();
            device.asked.set(0);
            fill = ops(calls(Duration.ofMillis(millis))).fault(fault(VmaFault.Reason.ABSENT));
        } while (device.asked.get() == 1);

        assertFailed(
                fill,
                Errno.ETIMEDOUT,
                "mdev=x",
                "within %d ms".formatted(millis),
                "the engine runs");
        assertThat(device.asked.get()).isGreaterThan(1);
        assertThat(told)
                .singleElement()
                .satisfies(one -> {
                    assertThat(one.outcome()).isEqualTo(FaultRecord.Outcome.FAILED);
                    assertThat(one.answer()).contains("the engine runs");
                });
    }

    @Test
    void aRequestThatNoGuestWaitsForIsSentOnce() {
        Fill fill = ops(calls(LONG)).fault(fault(VmaFault.Reason.POPULATE));

        assertFailed(fill, Errno.EAGAIN, "the engine runs");
        assertThat(device.asked.get()).isOne();
    }

    @Test
    void insideACallbackTheTurnCannotBeGivenUp() {
        DriverCalls calls = calls(LONG);
        RegionVmaOps ops = ops(calls);

        assertThat(
                        calls.run(
                                "write",
                                () ->
                                        assertFailed(
                                                ops.fault(fault(VmaFault.Reason.ABSENT)),
                                                Errno.EAGAIN,
                                                "the engine runs")))
                .isEmpty();
        assertThat(device.asked.get()).isOne();
    }

    @Test
    void whatMustEndIsNotKeptByTheDriver() throws Exception {
        RegionVmaOps ops = ops(calls(LONG));
        Cancellation program = new Cancellation(Errno.EINTR);
        CompletableFuture<Fill> fill =
                CompletableFuture.supplyAsync(
                        () -> program.get(() -> ops.fault(fault(VmaFault.Reason.ABSENT))),
                        Thread::startVirtualThread);
        device.askedTwice.await();

        program.cancel();

        assertFailed(fill.get(), Errno.EINTR, "must end");
        assertThat(told).isEmpty();
    }
}
