package dev.mdev.core.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.mdev.api.DoorbellInfo.Answer;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntFunction;

@Timeout(value = 600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class DoorbellsTest {
    private static final int ROUNDS = 2000 * Integer.getInteger("mdev.rounds", 1);

    private final DriverCalls calls = new DriverCalls("mdev=x", Deadlines.HANG, (_, _, _) -> {});
    private final BlockingQueue<Integer> called = new LinkedBlockingQueue<>();
    private final List<String> troubles = new CopyOnWriteArrayList<>();
    private final AtomicReference<IntFunction<Answer>> answer =
            new AtomicReference<>(_ -> Answer.DONE);
    private final Doorbells doorbells =
            new Doorbells(
                    calls,
                    doorbell -> {
                        Answer now = answer.get().apply(doorbell);
                        called.add(doorbell);
                        return now;
                    },
                    troubles::add);

    DoorbellsTest() {
        doorbells.install(64);
    }

    private int next() throws InterruptedException {
        Integer doorbell = called.poll(Deadlines.HANG.toSeconds(), TimeUnit.SECONDS);
        assertThat(doorbell).as("a call").isNotNull();
        return doorbell;
    }

    @Test
    void aRingThatComesWhileTheDeviceStandsStillIsAnsweredAfterwards() throws Exception {
        calls.holdSteps();
        doorbells.ring(3);
        doorbells.ring(3);
        assertThat(called).isEmpty();

        calls.releaseSteps();

        assertThat(next()).isEqualTo(3);
        assertThat(calls.runStill("reset", () -> {})).isEmpty();
        assertThat(called).as("two rings are one call").isEmpty();
    }

    /// A fault whose driver answered `Again` does not sleep while there is news.
    @Test
    void whoWaitsForTheDeviceGoesOnWhenACallEnds() throws Exception {
        CompletableFuture<Void> waiting =
                CompletableFuture.runAsync(() -> {
                    var _ =
                            calls.<Boolean>awaitOthers(
                                    "validateMapRequest", TimeUnit.HOURS.toNanos(1));
                });
        long start = System.nanoTime();
        // More than once: an end counts only for those that wait already.
        while (!waiting.isDone() && System.nanoTime() - start < Deadlines.HANG.toNanos()) {
            doorbells.ring(0);
            assertThat(next()).isZero();
        }

        assertThat(waiting).isDone();
    }

    @Test
    void aCancelledCallIsMadeAgain() throws Exception {
        AtomicInteger count = new AtomicInteger();
        answer.set(_ -> {
            if (count.incrementAndGet() < 3) {
                throw new MdevException(Errno.ECANCELED, "must end");
            }
            return Answer.DONE;
        });

        doorbells.ring(0);

        assertThat(next()).isZero();
        assertThat(count).hasValue(3);
        assertThat(troubles).isEmpty();
    }

    @Test
    void aFailureIsToldAndTheNextRingIsAnswered() throws Exception {
        answer.set(_ -> {
            called.add(-1);
            throw new IllegalStateException("broken");
        });
        doorbells.ring(0);
        assertThat(next()).isEqualTo(-1);
        assertThat(calls.runStill("reset", () -> {})).isEmpty();
        answer.set(_ -> Answer.DONE);

        doorbells.ring(1);

        assertThat(next()).isEqualTo(1);
        assertThat(troubles).singleElement().asString().contains("rung", "broken");
    }

    @Test
    void aDoorbellThatAlwaysHasWorkDoesNotKeepOthersOut() throws Exception {
        answer.set(doorbell -> doorbell == 5 ? Answer.AGAIN : Answer.DONE);
        doorbells.ring(5);
        assertThat(next()).isEqualTo(5);

        doorbells.ring(2);

        while (next() != 2) {
            // Doorbell 5 again.
        }
        answer.set(_ -> Answer.DONE);
    }

    @Test
    void thereAreNoOtherDoorbells() {
        assertThatExceptionOfType(IndexOutOfBoundsException.class)
                .isThrownBy(() -> doorbells.ring(64));
    }

    /// Each round rings while another thread holds the device and lets it go. The last of the two
    /// threads starts the call.
    @Test
    void noRingIsLostBesideHolds() throws Exception {
        for (int i = 0; i < ROUNDS; i++) {
            Thread holder =
                    Thread.ofPlatform()
                            .start(() -> {
                                calls.holdSteps();
                                calls.releaseSteps();
                            });
            doorbells.ring(i % 64);
            assertThat(next()).isEqualTo(i % 64);
            holder.join();
        }
    }
}
