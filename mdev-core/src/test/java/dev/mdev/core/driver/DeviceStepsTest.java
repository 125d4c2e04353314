package dev.mdev.core.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;

@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class DeviceStepsTest {
    private static final int ROUNDS = Integer.getInteger("mdev.steps", 3000);

    /// A thread for each task: those of a common pool may all be waiting.
    private static final Executor THREADS = task -> Thread.ofPlatform().daemon().start(task);

    private final CountDownLatch inside = new CountDownLatch(1);
    private final CountDownLatch goOn = new CountDownLatch(1);
    private final DriverCalls calls = calls(Deadlines.HANG);

    private static DriverCalls calls(Duration deadline) {
        return new DriverCalls("mdev=x", deadline, (_, _, _) -> {});
    }

    private void block() {
        inside.countDown();
        Deadlines.await(goOn);
    }

    private Optional<Errno> access() {
        return calls.runAccess("write", () -> {}).map(Refusal::errno);
    }

    @Test
    void aCallThatNeedsTheDeviceStillWaitsForTheStepUnderWayAndKeepsOthersOut()
            throws InterruptedException {
        CompletableFuture<Boolean> step =
                CompletableFuture.supplyAsync(() -> calls.step(this::block), THREADS);
        inside.await();
        AtomicBoolean stepInside = new AtomicBoolean(true);
        CompletableFuture<Optional<Refusal>> reset =
                CompletableFuture.supplyAsync(
                        () ->
                                calls.runStill(
                                        "reset",
                                        () -> {
                                            assertThat(stepInside).isFalse();
                                            assertThat(calls.step(() -> stepInside.set(true)))
                                                    .isFalse();
                                        }),
                        THREADS);
        while (calls.step(() -> {})) {
            Thread.onSpinWait();
        }
        assertThat(reset).isNotDone();

        stepInside.set(false);
        goOn.countDown();

        assertThat(reset.join()).isEmpty();
        assertThat(step.join()).isTrue();
        assertThat(stepInside).isFalse();
        assertThat(calls.step(() -> {})).as("a step after the reset").isTrue();
    }

    @Test
    void aStepThatWaitsForTheTurnEndsWhenTheDeviceIsToStandStill() throws InterruptedException {
        CompletableFuture<Optional<Refusal>> slow =
                CompletableFuture.supplyAsync(() -> calls.runAccess("read", this::block), THREADS);
        inside.await();
        AtomicReference<Optional<Errno>> seen = new AtomicReference<>();
        AtomicBoolean flag = new AtomicBoolean(true);
        CountDownLatch stepping = new CountDownLatch(1);
        CompletableFuture<Boolean> step =
                CompletableFuture.supplyAsync(
                        () ->
                                calls.step(() -> {
                                    stepping.countDown();
                                    seen.set(access());
                                    flag.set(Thread.currentThread().isInterrupted());
                                }),
                        THREADS);
        stepping.await();

        calls.holdSteps();

        assertThat(step.join()).isTrue();
        assertThat(seen.get()).contains(Errno.ECANCELED);
        assertThat(flag).as("interrupt status of the driver's thread").isFalse();
        assertThat(slow).as("the call that has the turn").isNotDone();
        goOn.countDown();
        slow.join();
        calls.releaseSteps();
        assertThat(calls.step(() -> {})).isTrue();
    }

    /// A step that is cancelled just as it gets its turn has the turn, and no interrupt.
    @Test
    void aCancellationLeavesNoInterruptWheneverItComes() {
        AtomicInteger interrupted = new AtomicInteger();
        for (int i = 0; i < ROUNDS; i++) {
            CompletableFuture<Boolean> step =
                    CompletableFuture.supplyAsync(
                            () ->
                                    calls.step(() -> {
                                        for (int n = 0; n < 3; n++) {
                                            var _ = access();
                                        }
                                        if (Thread.interrupted()) {
                                            interrupted.incrementAndGet();
                                        }
                                    }),
                            THREADS);
            assertThat(calls.runStill("reset", () -> {})).isEmpty();
            step.join();
            assertThat(calls.running()).isEmpty();
        }
        assertThat(interrupted).hasValue(0);
    }

    @Test
    void aStepThatDoesNotEndIsNamedAndTheCallIsNotMade() throws InterruptedException {
        DriverCalls hasty = calls(Duration.ofMillis(50));
        CompletableFuture<Boolean> step =
                CompletableFuture.supplyAsync(() -> hasty.step(this::block), THREADS);
        inside.await();

        Refusal refusal = hasty.runStill("reset", () -> {}).orElseThrow();

        assertThat(refusal.errno()).isEqualTo(Errno.ETIMEDOUT);
        assertThat(refusal.reason()).contains("a step does not end");
        assertThat(hasty.overdue().orElseThrow().callback()).isEqualTo("step");
        goOn.countDown();
        assertThat(step.join()).isTrue();
        assertThat(hasty.overdue()).isEmpty();
        assertThat(hasty.runStill("reset", () -> {})).isEmpty();
    }

    @Test
    void aStepThatAsksForAStandstillOrAnotherStepIsToldSoAtOnce() {
        AtomicReference<Optional<Errno>> seen = new AtomicReference<>();

        assertThat(
                        calls.step(() ->
                                seen.set(calls.runStill("reset", () -> {}).map(Refusal::errno))))
                .isTrue();

        assertThat(seen.get()).contains(Errno.EDEADLK);
        assertThatThrownBy(() -> calls.step(() -> calls.step(() -> {})))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EDEADLK));
        assertThat(calls.running()).isEmpty();
    }

    @Test
    void whatAStepThrowsComesOutAndTheStepIsOver() {
        assertThatThrownBy(() ->
                        calls.step(() -> {
                            throw new IllegalStateException("driver bug");
                        }))
                .hasMessage("driver bug");

        assertThat(calls.runStill("reset", () -> {})).isEmpty();
    }

    @Test
    void noStepBeginsAfterTheLastCall() {
        assertThat(calls.runAtLast("close", () -> {})).isEmpty();

        assertThat(calls.step(() -> {})).isFalse();
    }
}
