package dev.mdev.host.operation;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.core.sync.LongWork;
import dev.mdev.host.access.Caller;
import dev.mdev.host.operation.OperationView.State;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.web.LongCalls;

import org.jspecify.annotations.Nullable;
import org.springframework.http.ProblemDetail;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// Work that goes on after the answer to its call.
///
/// Any thread may call all methods. Lock: `lock`; under it, only that of the work.
final class Operation {
    final String id;
    final LongCalls.Asked asked;
    final Caller caller;
    final LongWork work = new LongWork();

    private final String request;
    private final Instant started = Instant.now();
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();

    /// How it ends if it ends early, as somebody wants; null if nobody does.
    @GuardedBy("lock")
    private @Nullable EndedEarly early;

    @GuardedBy("lock")
    private @Nullable Ended ended;

    /// Whether nobody is to wait for its end any more.
    @GuardedBy("lock")
    private boolean abandoned;

    /// What to do at the end.
    @GuardedBy("lock")
    private final Set<Runnable> waiters = new LinkedHashSet<>();

    /// How it ended.
    ///
    /// @param bytes the length of the result
    record Ended(
            State state,
            Instant at,
            int status,
            @Nullable Object result,
            int bytes,
            @Nullable ProblemDetail problem) {}

    Operation(String id, LongCalls.Asked asked, Caller caller, String request) {
        this.id = id;
        this.asked = asked;
        this.caller = caller;
        this.request = request;
    }

    OperationView view() {
        lock.lock();
        try {
            Ended end = ended;
            String doing = work.doing();
            return new OperationView(
                    id,
                    asked.verb(),
                    asked.target(),
                    stateLocked(),
                    caller.name(),
                    caller.reach().tenant(),
                    request,
                    started,
                    end == null ? null : end.at,
                    end != null || doing.isEmpty() ? null : doing,
                    work.progress().map(OperationView.ProgressView::of).orElse(null),
                    end == null && work.whyNotCancellable().isEmpty(),
                    end == null ? null : end.status,
                    end == null ? null : end.result,
                    end == null ? null : end.problem);
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private State stateLocked() {
        if (ended != null) {
            return ended.state;
        }
        return early == null ? State.RUNNING : State.CANCELLING;
    }

    State state() {
        lock.lock();
        try {
            return stateLocked();
        } finally {
            lock.unlock();
        }
    }

    Optional<Ended> ended() {
        lock.lock();
        try {
            return Optional.ofNullable(ended);
        } finally {
            lock.unlock();
        }
    }

    /// Refuses what [#cancel] would refuse now.
    ///
    /// @throws ProblemException as that
    void requireCancellable() {
        lock.lock();
        try {
            requireRunningLocked();
            work.whyNotCancellable().ifPresent(Operation::refuse);
        } finally {
            lock.unlock();
        }
    }

    /// Ends it early.
    ///
    /// @throws ProblemException `wrong-state` if it has ended, or can only be completed
    void cancel(EndedEarly how) {
        lock.lock();
        try {
            requireRunningLocked();
            work.cancel().ifPresent(Operation::refuse);
            if (early == null) {
                early = how;
            }
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void requireRunningLocked() {
        if (ended != null) {
            throw new ProblemException(Problem.WRONG_STATE, "operation=%s has ended".formatted(id));
        }
    }

    private static void refuse(String why) {
        throw new ProblemException(Problem.WRONG_STATE, "it can only be completed: " + why);
    }

    /// How it ends, once its work has found out that it is to end early.
    EndedEarly endedEarly() {
        lock.lock();
        try {
            return early == null ? EndedEarly.byStop() : early;
        } finally {
            lock.unlock();
        }
    }

    /// How work ends that was ended early.
    record EndedEarly(State state, ProblemException problem) {
        static EndedEarly by(String name) {
            return new EndedEarly(
                    State.CANCELLED,
                    new ProblemException(Problem.WRONG_STATE, "it was cancelled by " + name));
        }

        static EndedEarly byStop() {
            return new EndedEarly(State.INTERRUPTED, Operations.stopped());
        }
    }

    /// Tells its end to all who wait for it.
    void end(Ended how) {
        List<Runnable> tell;
        lock.lock();
        try {
            ended = how;
            tell = new ArrayList<>(waiters);
            waiters.clear();
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        tell.forEach(Runnable::run);
    }

    /// Waits for its end, for a while, unless it does not come any more.
    ///
    /// @return whether it has ended
    boolean awaitEnd(Duration patience) throws InterruptedException {
        lock.lock();
        try {
            long nanos = TimeUnit.NANOSECONDS.convert(patience);
            while (ended == null && !abandoned && nanos > 0) {
                nanos = changed.awaitNanos(nanos);
            }
            return ended != null;
        } finally {
            lock.unlock();
        }
    }

    /// Does something at its end: at once if it has ended.
    void whenEnded(Runnable waiter) {
        lock.lock();
        try {
            if (ended == null && !abandoned) {
                waiters.add(waiter);
                return;
            }
        } finally {
            lock.unlock();
        }
        waiter.run();
    }

    void forget(Runnable waiter) {
        lock.lock();
        try {
            waiters.remove(waiter);
        } finally {
            lock.unlock();
        }
    }

    /// Answers all who wait for its end, which does not come any more.
    void letGo() {
        List<Runnable> tell;
        lock.lock();
        try {
            abandoned = true;
            changed.signalAll();
            tell = new ArrayList<>(waiters);
            waiters.clear();
        } finally {
            lock.unlock();
        }
        tell.forEach(Runnable::run);
    }
}
