package dev.mdev.host.operation;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.host.access.Caller;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.web.LongCalls;

import org.jspecify.annotations.Nullable;

import java.security.SecureRandom;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;
import java.util.function.Predicate;
import java.util.regex.Pattern;

/// The operations that run, and those that have ended not long ago.
///
/// Any thread may call all methods. Lock: `lock`; under it, those of the operations.
final class KeptOperations {
    /// The maximum number of operations that have ended; the oldest go.
    static final int MAX_ENDED = 1000;

    /// The same, of one tenant.
    static final int MAX_ENDED_OF_TENANT = 250;

    /// The maximum length of all kept results, in bytes of JSON; the oldest go.
    static final long MAX_RESULT_BYTES = 16 << 20;

    private static final Pattern ID = Pattern.compile("[0-9a-f]{8}-[0-9]{10}");

    private final OperationProperties properties;

    /// Nanoseconds, as [System#nanoTime].
    private final LongSupplier clock;

    /// Tells the numbers of this life of the service from those of others.
    private final String life = "%08x".formatted(new SecureRandom().nextInt());

    private final ReentrantLock lock = new ReentrantLock();

    /// By id, the oldest first.
    @GuardedBy("lock")
    private final LinkedHashMap<String, Entry> entries = new LinkedHashMap<>();

    @GuardedBy("lock")
    private long lastNumber;

    /// @param endedNanos when it ended; null while it runs
    private record Entry(Operation operation, @Nullable Long endedNanos) {
        boolean isRunning() {
            return endedNanos == null;
        }

        @Nullable String tenant() {
            return operation.caller.reach().tenant();
        }

        int bytes() {
            return operation.ended().map(Operation.Ended::bytes).orElse(0);
        }
    }

    KeptOperations(OperationProperties properties, LongSupplier clock) {
        this.properties = properties;
        this.clock = clock;
    }

    /// Begins an operation.
    ///
    /// @throws ProblemException `unavailable` if too many run, `too-many-requests` if too many of
    ///   the caller's tenant do
    Operation begin(LongCalls.Asked asked, Caller caller, String request) {
        String tenant = caller.reach().tenant();
        lock.lock();
        try {
            if (countLocked(Entry::isRunning) >= properties.maxRunning()) {
                throw new ProblemException(
                        Problem.UNAVAILABLE,
                        "%d operations run already, as many as mdev.operations.max-running"
                                .formatted(properties.maxRunning()));
            }
            if (tenant != null
                    && countLocked(it -> it.isRunning() && tenant.equals(it.tenant()))
                            >= properties.maxRunningOfTenant()) {
                throw new ProblemException(
                        Problem.TOO_MANY_REQUESTS,
                        "%d operations of tenant=%s run already, as many as mdev.operations.max-running-of-tenant"
                                .formatted(properties.maxRunningOfTenant(), tenant));
            }
            lastNumber++;
            Operation made =
                    new Operation("%s-%010d".formatted(life, lastNumber), asked, caller, request);
            entries.put(made.id, new Entry(made, null));
            return made;
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private long countLocked(Predicate<Entry> which) {
        return entries.values().stream().filter(which).count();
    }

    /// Forgets an operation that did not begin after all.
    void drop(Operation operation) {
        lock.lock();
        try {
            entries.remove(operation.id);
        } finally {
            lock.unlock();
        }
    }

    /// Ends an operation.
    void ended(Operation operation, Operation.Ended how) {
        lock.lock();
        try {
            entries.put(operation.id, new Entry(operation, clock.getAsLong()));
        } finally {
            lock.unlock();
        }
        operation.end(how);
        lock.lock();
        try {
            dropLocked(operation.caller.reach().tenant());
        } finally {
            lock.unlock();
        }
    }

    /// A tenant with many operations pushes out its own, not those of others.
    @GuardedBy("lock")
    private void dropLocked(@Nullable String tenant) {
        if (tenant != null) {
            Predicate<Entry> own = it -> !it.isRunning() && tenant.equals(it.tenant());
            dropOldestLocked(own, countLocked(own) - MAX_ENDED_OF_TENANT);
        }
        Predicate<Entry> all = it -> !it.isRunning();
        dropOldestLocked(all, countLocked(all) - MAX_ENDED);
        while (entries.values().stream().mapToLong(Entry::bytes).sum() > MAX_RESULT_BYTES) {
            dropOldestLocked(it -> it.bytes() > 0, 1);
        }
    }

    @GuardedBy("lock")
    private void dropOldestLocked(Predicate<Entry> which, long count) {
        long left = count;
        Iterator<Entry> oldestFirst = entries.values().iterator();
        while (left > 0 && oldestFirst.hasNext()) {
            if (which.test(oldestFirst.next())) {
                oldestFirst.remove();
                left--;
            }
        }
    }

    @GuardedBy("lock")
    private void dropOldLocked() {
        long now = clock.getAsLong();
        entries.values()
                .removeIf(it ->
                        it.endedNanos != null && now - it.endedNanos > properties.keep().toNanos());
    }

    List<Operation> all() {
        lock.lock();
        try {
            dropOldLocked();
            return entries.values().stream().map(Entry::operation).toList();
        } finally {
            lock.unlock();
        }
    }

    Optional<Operation> find(String id) {
        lock.lock();
        try {
            dropOldLocked();
            return Optional.ofNullable(entries.get(id)).map(Entry::operation);
        } finally {
            lock.unlock();
        }
    }

    /// Whether an id was given before the service was started, or by another service.
    boolean isOfAnotherLife(String id) {
        return ID.matcher(id).matches() && !id.startsWith(life);
    }
}
