package dev.mdev.host.access;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;

import org.jspecify.annotations.Nullable;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;

/// The answers to requests with a key, for a while, in memory: a client that lost the answer gets
/// it again.
///
/// Any thread may call all methods. Lock: `lock`, a leaf.
final class KeptAnswers {
    /// The longest kept body, in bytes.
    static final int MAX_BODY = 16 << 10;

    /// The maximum number of keys of all callers; the oldest go first.
    static final int MAX_KEYS = 1024;

    /// The maximum number of keys of one caller.
    static final int MAX_KEYS_OF_CALLER = 128;

    /// How long a key is known.
    static final Duration TIME = Duration.ofHours(1);

    /// Nanoseconds, as [System#nanoTime].
    private final LongSupplier clock;

    private final ReentrantLock lock = new ReentrantLock();

    /// The oldest first.
    @GuardedBy("lock")
    private final LinkedHashMap<Key, Entry> entries = new LinkedHashMap<>();

    KeptAnswers(LongSupplier clock) {
        this.clock = clock;
    }

    /// A key of a caller.
    record Key(Caller caller, String text) {}

    /// An answer.
    ///
    /// @param body null if it was too long, or is not known
    record Answer(
            int status,
            @Nullable String contentType,
            @Nullable String location,
            @Nullable ByteBuffer body) {}

    /// @param answer null while the request is running
    private record Entry(String request, long sinceNanos, @Nullable Answer answer) {}

    /// Takes a key for a request, or tells its answer.
    ///
    /// @param request tells requests apart
    /// @return the answer; nothing if the caller is to do the work, and then to call [#end]
    /// @throws ProblemException `invalid` if the key is of another request, `unavailable` if that
    ///   is running, or too many are
    Optional<Answer> begin(Key key, String request) {
        lock.lock();
        try {
            dropOldLocked();
            Entry there = entries.get(key);
            if (there == null) {
                makeRoomLocked(key.caller());
                entries.put(key, new Entry(request, clock.getAsLong(), null));
                return Optional.empty();
            }
            if (!there.request.equals(request)) {
                throw ProblemException.invalid(
                        List.of(new Violation("", "the Idempotency-Key is of another request")));
            }
            if (there.answer == null) {
                throw new ProblemException(
                        Problem.UNAVAILABLE, "the request with this Idempotency-Key is running");
            }
            return Optional.of(there.answer);
        } finally {
            lock.unlock();
        }
    }

    /// Ends the work of a key.
    ///
    /// @param answer null if nothing happened: the key is free again
    void end(Key key, @Nullable Answer answer) {
        lock.lock();
        try {
            entries.computeIfPresent(
                    key,
                    (_, there) ->
                            answer == null
                                    ? null
                                    : new Entry(there.request, there.sinceNanos, answer));
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void dropOldLocked() {
        long now = clock.getAsLong();
        entries.values().removeIf(it -> it.answer != null && now - it.sinceNanos > TIME.toNanos());
    }

    /// A caller with many keys pushes out its own, not those of others.
    @GuardedBy("lock")
    private void makeRoomLocked(Caller caller) {
        long own = entries.keySet().stream().filter(it -> it.caller().equals(caller)).count();
        if (own >= MAX_KEYS_OF_CALLER) {
            dropOldestLocked(caller);
        }
        if (entries.size() >= MAX_KEYS) {
            dropOldestLocked(null);
        }
    }

    /// @param of null for that of any caller
    @GuardedBy("lock")
    private void dropOldestLocked(@Nullable Caller of) {
        Iterator<Map.Entry<Key, Entry>> oldestFirst = entries.entrySet().iterator();
        while (oldestFirst.hasNext()) {
            Map.Entry<Key, Entry> it = oldestFirst.next();
            boolean isRunning = it.getValue().answer == null;
            if (!isRunning && (of == null || of.equals(it.getKey().caller()))) {
                oldestFirst.remove();
                return;
            }
        }
        throw new ProblemException(
                Problem.UNAVAILABLE, "too many requests with an Idempotency-Key are running");
    }
}
