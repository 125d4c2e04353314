package dev.mdev.core.sync;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;

import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// Work that tells of itself, and can be ended early up to a point.
class LongWorkTest {
    private final LongWork work = new LongWork();
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition never = lock.newCondition();

    private long awaitSignal(CountDownLatch begun) {
        lock.lock();
        try {
            begun.countDown();
            return LongWork.awaitNanos(never, Deadlines.HANG.toNanos());
        } catch (InterruptedException e) {
            throw new AssertionError("the interrupt of the canceller came through", e);
        } finally {
            lock.unlock();
        }
    }

    @Test
    void aWaitEndsWhenTheWorkIsCancelledAndNoInterruptIsLeft() {
        CountDownLatch begun = new CountDownLatch(1);
        CompletableFuture<Boolean> waiter =
                CompletableFuture.supplyAsync(() -> {
                    assertThatThrownBy(() -> work.call(() -> awaitSignal(begun)))
                            .isInstanceOf(CancelledException.class);
                    return Thread.interrupted();
                });
        Deadlines.await(begun);

        assertThat(work.cancel()).isEmpty();

        assertThat(waiter.join()).isFalse();
    }

    @Test
    void aWaitThatBeginsAfterTheCancellingDoesNotBegin() {
        assertThat(work.cancel()).isEmpty();

        assertThatThrownBy(() -> work.call(() -> awaitSignal(new CountDownLatch(1))))
                .isInstanceOf(CancelledException.class);
        assertThatThrownBy(work::requireGoingOn).isInstanceOf(CancelledException.class);
    }

    @Test
    void eitherTheCancellingOrThePointOfNoReturnComesFirst() {
        work.noReturn("it is being ended");

        assertThat(work.cancel()).contains("it is being ended");
        work.requireGoingOn();

        LongWork other = new LongWork();
        assertThat(other.cancel()).isEmpty();
        assertThatThrownBy(() -> other.noReturn("too late")).isInstanceOf(CancelledException.class);
        assertThat(other.whyNotCancellable()).isEmpty();
    }

    @Test
    void whatIsToldWithinTheWorkIsSeenFromOutside() {
        work.call(() -> {
            LongWork.current().begin("pages", 16);
            LongWork.current().add(3);
            LongWork.current().add(4);
            LongWork.current().doing("they are scrubbed");
            return 0;
        });

        assertThat(work.progress()).contains(new LongWork.Progress("pages", 7, 16));
        assertThat(work.doing()).isEqualTo("they are scrubbed");
    }

    @Test
    void workAtWhichNobodyLooksIsNobodysElse() {
        LongWork.current().begin("pages", 16);
        LongWork.current().noReturn("x");

        assertThat(LongWork.current().progress()).isEqualTo(Optional.empty());
        assertThat(LongWork.current().whyNotCancellable()).isEqualTo(Optional.empty());
    }
}
