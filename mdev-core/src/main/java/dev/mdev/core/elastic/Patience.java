package dev.mdev.core.elastic;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.sync.Cancellation;

import org.jspecify.annotations.Nullable;

import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.stream.Collectors;

/// How long one request for a page waits, and what it met.
///
/// A request asks in rounds: in a round, a driver that refuses is not asked again, so that each
/// gets its turn, and the request's own device as well. After the deadline it asks no other device,
/// but its own may still pay, for as long again. One thread.
final class Patience {
    /// The most devices that a message names.
    private static final int MAX_NAMED = 4;

    private final long deadlineNanos;
    private final String what;

    /// The device that waits; null if frames are to be free.
    private final @Nullable UUID own;

    private long startNanos = System.nanoTime();
    private boolean onlyOwn;

    /// Devices that gave nothing in this round.
    private final Set<UUID> refusals = new HashSet<>();

    /// Why devices gave nothing, when they were asked last.
    private final Map<UUID, String> reasons = new LinkedHashMap<>();

    /// Why the store took nothing in this round, if it did not.
    private @Nullable MdevException storeFailure;

    private int roundsWithStoreFailures;

    Patience(String what, long deadlineNanos, @Nullable UUID own) {
        this.what = what;
        this.deadlineNanos = deadlineNanos;
        this.own = own;
    }

    private long restNanos() {
        return deadlineNanos - (System.nanoTime() - startNanos);
    }

    boolean isOver() {
        return restNanos() <= 0;
    }

    /// The deadline has passed: asks no other device from now on.
    ///
    /// @throws MdevException ETIMEDOUT if the request's own device cannot pay either
    void leaveOthersAlone() {
        if (own == null || onlyOwn || reasons.containsKey(own)) {
            throw timedOut();
        }
        onlyOwn = true;
        startNanos = System.nanoTime();
    }

    /// Whether this request may ask a device for units now.
    boolean mayAsk(UUID device) {
        return !refusals.contains(device) && (!onlyOwn || device.equals(own));
    }

    /// Notes that a device gave nothing.
    void met(UUID device, Trouble trouble) {
        refusals.add(device);
        reasons.put(device, trouble.why());
        if (trouble instanceof Trouble.StoreFailed failed) {
            storeFailure = failed.cause();
        }
    }

    /// Begins a new round: nobody is left to ask in this one.
    ///
    /// @throws MdevException as the store, if it failed in an earlier round as well: trying on
    ///   would wait for a store that is full or broken
    void endRound() {
        refusals.clear();
        MdevException failure = storeFailure;
        storeFailure = null;
        if (failure == null) {
            return;
        }
        roundsWithStoreFailures++;
        if (roundsWithStoreFailures > 1) {
            throw new MdevException(
                    failure.errno(),
                    "no page: %s: %s".formatted(what, failure.getMessage()),
                    failure);
        }
    }

    /// Waits for a signal, or `mostNanos`.
    ///
    /// @param changed its lock is held
    /// @throws MdevException ETIMEDOUT after the deadline, ECANCELED (or the like) if the work of
    ///   this thread must end, EINTR if it is interrupted
    @SuppressWarnings("WaitNotInLoop") // the caller looks again
    void await(Condition changed, long mostNanos) {
        long restNanos = restNanos();
        if (restNanos <= 0) {
            throw timedOut();
        }
        long nanos = Math.min(restNanos, mostNanos);
        try {
            Cancellation.Waited waited =
                    Cancellation.await(() -> {
                        var _ = changed.awaitNanos(nanos);
                        return true;
                    });
            if (waited == Cancellation.Waited.CANCELLED) {
                throw new MdevException(
                        Cancellation.errno(), "the step or program that waits must end: " + what);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new MdevException(Errno.EINTR, "interrupted: " + what, e);
        }
    }

    private MdevException timedOut() {
        String said =
                reasons.entrySet().stream()
                        .limit(MAX_NAMED)
                        .map(one -> "; mdev=%s: %s".formatted(one.getKey(), one.getValue()))
                        .collect(Collectors.joining());
        int more = reasons.size() - MAX_NAMED;
        return new MdevException(
                Errno.ETIMEDOUT,
                "no page within %d ms: %s%s%s"
                        .formatted(
                                TimeUnit.NANOSECONDS.toMillis(deadlineNanos),
                                what,
                                said,
                                more > 0 ? "; and %d more".formatted(more) : ""));
    }
}
