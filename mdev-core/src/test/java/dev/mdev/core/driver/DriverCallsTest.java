package dev.mdev.core.driver;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;

@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class DriverCallsTest {
    private final CyclicBarrier both = new CyclicBarrier(2);
    private final CountDownLatch inside = new CountDownLatch(1);
    private final CountDownLatch goOn = new CountDownLatch(1);

    private static DriverCalls calls(Duration deadline) {
        return new DriverCalls("mdev=x", deadline, (_, _, _) -> {});
    }

    /// Returns only if another is inside at the same time.
    private int meet() {
        try {
            return both.await();
        } catch (InterruptedException | BrokenBarrierException e) {
            throw new IllegalStateException(e);
        }
    }

    private int block() {
        inside.countDown();
        Deadlines.await(goOn);
        return 1;
    }

    private static <T> Errno errnoOf(DriverOutcome<T> outcome) {
        return switch (outcome) {
            case DriverOutcome.Failed<T> failed -> failed.refusal().errno();
            case DriverOutcome.Returned<T> returned ->
                    throw new AssertionError("returned " + returned.value());
        };
    }

    @Test
    void accessesOfADeviceThatWantsItRunBesideEachOther() {
        DriverCalls calls = calls(Duration.ofSeconds(20));
        calls.allowConcurrency();

        CompletableFuture<DriverOutcome<Integer>> other =
                CompletableFuture.supplyAsync(() -> calls.access("read", this::meet));

        assertThat(calls.access("validateMapRequest", this::meet))
                .isInstanceOf(DriverOutcome.Returned.class);
        assertThat(other.join()).isInstanceOf(DriverOutcome.Returned.class);
        assertThat(calls.running()).isEmpty();
    }

    @Test
    void accessesOfAnyOtherDeviceDoNot() throws InterruptedException {
        DriverCalls calls = calls(Duration.ofMillis(50));
        CompletableFuture<DriverOutcome<Integer>> other =
                CompletableFuture.supplyAsync(() -> calls.access("read", this::block));
        inside.await();

        assertThat(errnoOf(calls.access("write", () -> 2))).isEqualTo(Errno.ETIMEDOUT);

        goOn.countDown();
        assertThat(other.join()).isEqualTo(new DriverOutcome.Returned<>(1));
    }

    @Test
    void whatIsNoAccessRunsAlone() throws InterruptedException {
        DriverCalls calls = calls(Duration.ofMillis(50));
        calls.allowConcurrency();
        CompletableFuture<DriverOutcome<Integer>> other =
                CompletableFuture.supplyAsync(() -> calls.access("read", this::block));
        inside.await();

        assertThat(calls.running().orElseThrow().callback()).isEqualTo("read");
        assertThat(errnoOf(calls.call("reset", () -> 2))).isEqualTo(Errno.ETIMEDOUT);

        goOn.countDown();
        assertThat(other.join()).isEqualTo(new DriverOutcome.Returned<>(1));
        assertThat(calls.call("reset", () -> calls.access("read", () -> 3)))
                .isEqualTo(new DriverOutcome.Returned<>(new DriverOutcome.Returned<>(3)));
    }

    @Test
    void anAccessThatAsksForWhatMustRunAloneIsToldSoAtOnce() {
        DriverCalls calls = calls(Duration.ofHours(1));
        calls.allowConcurrency();

        DriverOutcome<Errno> errno =
                calls.access("read", () -> errnoOf(calls.call("reset", () -> 1)));

        assertThat(errno).isEqualTo(new DriverOutcome.Returned<>(Errno.EDEADLK));
        assertThat(calls.call("reset", () -> 1)).isEqualTo(new DriverOutcome.Returned<>(1));
    }

    @Test
    void aThreadThatTheDriverRenamesHasItsNameBackAfterTheCall() {
        String name = Thread.currentThread().getName();

        assertThat(
                        calls(Duration.ofHours(1))
                                .run("reset", () -> Thread.currentThread().setName("request-7")))
                .isEmpty();

        assertThat(Thread.currentThread().getName()).isEqualTo(name);
    }

    @Test
    void workOfTheHostsOwnIsInTheTurnAndNoPartOfTheCall() {
        DriverCalls calls = calls(Duration.ofHours(1));
        List<String> seen = new ArrayList<>();

        assertThat(
                        calls.runStill(
                                "reset",
                                new HostsWork(
                                        "host clears pages",
                                        () -> seen.add(calls.running().orElseThrow().callback())),
                                () ->
                                        seen.add(
                                                "driver "
                                                        + calls.running()
                                                                .orElseThrow()
                                                                .callback())))
                .isEmpty();

        assertThat(seen).containsExactly("host clears pages", "driver reset");
    }

    @Test
    void whoWaitsInVainForWorkOfTheHostIsToldOfItAndNobodyCallsItOverdue() throws Exception {
        DriverCalls calls = calls(Duration.ofMillis(50));
        CompletableFuture<Boolean> reset =
                CompletableFuture.supplyAsync(() ->
                        calls.runStill(
                                        "reset",
                                        new HostsWork("host clears pages", this::block),
                                        () -> {})
                                .isEmpty());
        inside.await();

        Refusal refusal = calls.run("read", () -> {}).orElseThrow();

        assertThat(refusal.errno()).isEqualTo(Errno.ETIMEDOUT);
        assertThat(refusal.reason()).contains("no turn within 50 ms, the host clears pages");
        assertThat(calls.overdue()).isEmpty();
        goOn.countDown();
        assertThat(reset.get()).isTrue();
    }

    @Test
    void afterWorkOfTheHostThatFailsTheCallIsNotMadeAndTheTurnIsFree() {
        DriverCalls calls = calls(Duration.ofHours(1));

        Refusal refusal =
                calls.runStill(
                                "reset",
                                new HostsWork(
                                        "host clears pages",
                                        () -> {
                                            throw new MdevException(Errno.EHWPOISON, "a bad page");
                                        }),
                                () -> {
                                    throw new AssertionError("called");
                                })
                        .orElseThrow();

        assertThat(refusal.errno()).isEqualTo(Errno.EHWPOISON);
        assertThat(CompletableFuture.supplyAsync(() -> calls.call("read", () -> 1)).join())
                .isEqualTo(new DriverOutcome.Returned<>(1));
    }
}
