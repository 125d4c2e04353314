package dev.mdev.core.driver;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;
import dev.mdev.core.sync.Cancellation;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.Comparator;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// The turnstile in front of one driver object: lets one call in at a time, measures it, and turns
/// its exceptions into a value.
///
/// A call runs on its caller's thread: a hand-over to a thread of the driver's own would cost more
/// than most calls. So a call that never returns keeps its caller, but nothing else: a caller that
/// waits for the turn gives up after the deadline, and [#overdue] shows the call. Calls may nest,
/// as when a device reads guest memory that is its own BAR.
///
/// A driver's work on its own threads is [steps][#step]. A call that changes the device as a whole
/// runs [while it stands still][#runStill]: without any step.
public final class DriverCalls {
    private final String owner;
    private final Duration deadline;
    private final CallObserver observer;

    /// The turn: the write lock for an exclusive call, the read lock for concurrent accesses.
    private final ReentrantReadWriteLock serial = new ReentrantReadWriteLock(true);

    /// Whether the object accepts concurrent accesses.
    private volatile boolean concurrent;

    /// The outermost exclusive call that is running. Written by the write lock's holder.
    private volatile @Nullable RunningCall running;

    /// The host's own work before an exclusive call, which has no deadline. Written by the write
    /// lock's holder.
    private volatile @Nullable RunningCall hosts;

    /// The outermost concurrent calls that are running.
    private final Set<RunningCall> beside = ConcurrentHashMap.newKeySet();

    private final DeviceSteps steps = new DeviceSteps();

    private final CallEnds ends = new CallEnds();

    private final AsideCalls aside;

    private volatile Runnable whenFree = () -> {};

    /// @param owner the object's name, for messages
    /// @param deadline the maximum time of a call, and of a wait for the turn
    public DriverCalls(String owner, Duration deadline, CallObserver observer) {
        this.owner = owner;
        this.deadline = deadline;
        this.observer = observer;
        this.aside = new AsideCalls(deadline);
    }

    /// Receives every finished call.
    @FunctionalInterface
    public interface CallObserver {
        void finished(String owner, String callback, long durationNanos);
    }

    /// The maximum time of a call.
    public Duration deadline() {
        return deadline;
    }

    /// Lets the calls of [#access] run concurrently, because the object allows it.
    public void allowConcurrency() {
        concurrent = true;
    }

    /// Calls driver code while no other call runs.
    ///
    /// @param callback the method's name, for messages
    /// @return EDEADLK from inside a concurrent [#access]: it would wait for itself
    public <T> DriverOutcome<T> call(String callback, Supplier<T> body) {
        if (concurrent && serial.getReadHoldCount() > 0) {
            return failed(Errno.EDEADLK, callback, "called inside a concurrent callback");
        }
        Optional<DriverOutcome<T>> refused = await(serial.writeLock(), callback);
        return refused.isPresent() ? refused.get() : callInTurn(callback, body);
    }

    /// Calls driver code for a guest's access: concurrently with other accesses, if the object
    /// allows it.
    ///
    /// @param callback the method's name, for messages
    public <T> DriverOutcome<T> access(String callback, Supplier<T> body) {
        if (!concurrent || serial.isWriteLockedByCurrentThread()) {
            return call(callback, body);
        }
        Optional<DriverOutcome<T>> refused = await(serial.readLock(), callback);
        return refused.isPresent() ? refused.get() : callBeside(callback, body);
    }

    /// Whether this thread has the turn, because it is inside a callback.
    public boolean isInTurn() {
        return serial.isWriteLockedByCurrentThread() || serial.getReadHoldCount() > 0;
    }

    /// Waits without the turn, before a call is made again: until another call or a step has ended,
    /// or the time is over.
    ///
    /// @param callback the method's name, for messages
    /// @return why the call must not be made again: the waiting step or program must end, or the
    ///   thread is interrupted
    public <T> Optional<DriverOutcome<T>> awaitOthers(String callback, long nanos) {
        return ended(
                callback,
                () -> {
                    ends.await(nanos);
                    return true;
                });
    }

    /// Calls driver code outside the turn, beside all other calls, on a thread of its own: so the
    /// caller waits no longer than the deadline. One such call runs at a time.
    ///
    /// @param callback the method's name, for messages
    /// @return ETIMEDOUT if it does not return in time, EBUSY while such a call has not returned,
    ///   ENODEV after [#runAtLast]
    public <T> DriverOutcome<T> callAside(String callback, Supplier<T> body) {
        AsideCalls.Result<DriverOutcome<T>> result =
                aside.run(
                        callback,
                        () -> {
                            long start = System.nanoTime();
                            try {
                                return outcomeOf(callback, body);
                            } finally {
                                observer.finished(owner, callback, System.nanoTime() - start);
                            }
                        });
        return switch (result) {
            case AsideCalls.Returned<DriverOutcome<T>> returned -> returned.value();
            case AsideCalls.NotReturned<DriverOutcome<T>> not ->
                    failed(not.errno(), callback, not.what());
        };
    }

    /// As [#call], for a callback without a result.
    ///
    /// @return why it failed, if it did
    public Optional<Refusal> run(String callback, Runnable body) {
        return call(callback, asSupplier(body)).failure();
    }

    /// As [#access], for a callback without a result.
    ///
    /// @return why it failed, if it did
    public Optional<Refusal> runAccess(String callback, Runnable body) {
        return access(callback, asSupplier(body)).failure();
    }

    private static Supplier<Boolean> asSupplier(Runnable body) {
        return () -> {
            body.run();
            return true;
        };
    }

    /// Runs a step of the device, unless the device must stand still.
    ///
    /// @return whether `body` ran
    /// @throws MdevException EDEADLK from inside a step
    public boolean step(Runnable body) {
        boolean ran = steps.run("step", body);
        ends.signal();
        return ran;
    }

    /// Calls driver code as a step of the device, beside all calls that do not need it to stand
    /// still.
    ///
    /// @param callback the method's name, for messages
    /// @return how it ended; nothing if the device must stand still, and it was not called
    <T> Optional<DriverOutcome<T>> callAsStep(String callback, Supplier<T> body) {
        AtomicReference<DriverOutcome<T>> outcome = new AtomicReference<>();
        var _ =
                steps.run(
                        callback,
                        () -> {
                            long start = System.nanoTime();
                            outcome.set(outcomeOf(callback, body));
                            observer.finished(owner, callback, System.nanoTime() - start);
                        });
        ends.signal();
        return Optional.ofNullable(outcome.get());
    }

    /// Blocks new steps until [#releaseSteps]. Running steps get no more turns.
    public void holdSteps() {
        steps.hold();
    }

    /// Undoes one [#holdSteps].
    public void releaseSteps() {
        if (steps.release()) {
            whenFree.run();
        }
    }

    /// Whether the device must stand still.
    boolean mustStandStill() {
        return steps.isHeld();
    }

    /// Sets what runs each time that steps may begin again: quick, and on any thread.
    void onFree(Runnable action) {
        whenFree = action;
    }

    /// Calls driver code without a result while no other call and no step runs. No step begins
    /// before it ends.
    ///
    /// @param callback the method's name, for messages
    /// @return why it failed, if it did: ETIMEDOUT if a step does not end within the deadline,
    ///   EDEADLK from inside one; otherwise as [#call]
    public Optional<Refusal> runStill(String callback, Runnable body) {
        return runStill(callback, Optional.empty(), body);
    }

    /// The same, after work of the host's own in the same turn: its time does not count as the
    /// callback's, and is bounded by no deadline, so that others may wait in vain for the turn.
    /// They are told of the work. If it throws, the callback is not called.
    public Optional<Refusal> runStill(String callback, HostsWork hostsWork, Runnable body) {
        return runStill(callback, Optional.of(hostsWork), body);
    }

    private Optional<Refusal> runStill(
            String callback, Optional<HostsWork> hostsWork, Runnable body) {
        if (steps.isMine()) {
            return Optional.of(refusal(Errno.EDEADLK, callback, "called by a step"));
        }
        steps.hold();
        try {
            // Without the turn: a step may need the turn to end.
            return steps.awaitNone(deadline.toNanos())
                    ? runAfter(callback, hostsWork, body)
                    : Optional.of(
                            refusal(
                                    Errno.ETIMEDOUT,
                                    callback,
                                    "a step does not end" + stepsInWords()));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return Optional.of(refusal(Errno.EINTR, callback, "interrupted while waiting"));
        } finally {
            releaseSteps();
        }
    }

    private Optional<Refusal> runAfter(
            String callback, Optional<HostsWork> hostsWork, Runnable body) {
        if (concurrent && serial.getReadHoldCount() > 0) {
            return run(callback, body);
        }
        Optional<DriverOutcome<Boolean>> refused = await(serial.writeLock(), callback);
        if (refused.isPresent()) {
            return refused.get().failure();
        }
        Optional<Refusal> failure = hostsWork.flatMap(work -> failureOf(callback, work));
        if (failure.isPresent()) {
            serial.writeLock().unlock();
            return failure;
        }
        return callInTurn(callback, asSupplier(body)).failure();
    }

    private Optional<Refusal> failureOf(String callback, HostsWork work) {
        hosts = RunningCall.begin(work.what());
        try {
            return outcomeOf(callback, asSupplier(work.body())).failure();
        } finally {
            hosts = null;
        }
    }

    private String stepsInWords() {
        return steps.running().stream()
                .map(step -> ": " + step.inWords())
                .collect(Collectors.joining());
    }

    private <T> Optional<DriverOutcome<T>> await(Lock turn, String callback) {
        return ended(callback, () -> turn.tryLock(deadline.toNanos(), TimeUnit.NANOSECONDS));
    }

    /// @return nothing if the wait is done
    private <T> Optional<DriverOutcome<T>> ended(String callback, Cancellation.TimedWait wait) {
        try {
            return switch (Cancellation.await(wait)) {
                case DONE -> Optional.empty();
                case TIMED_OUT -> Optional.of(busy(callback));
                case CANCELLED ->
                        Optional.of(
                                failed(
                                        Cancellation.errno(),
                                        callback,
                                        "not called: the waiting step or program must end"));
            };
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return Optional.of(failed(Errno.EINTR, callback, "interrupted while waiting"));
        }
    }

    /// Calls driver code, and waits without a limit for its turn and for the running steps: for the
    /// one call that must happen, on a thread of its own. No step begins after it.
    ///
    /// @return why it failed, if it did
    public Optional<Refusal> runAtLast(String callback, Runnable body) {
        steps.hold();
        aside.end();
        steps.awaitNoneUninterruptibly();
        serial.writeLock().lock();
        return callInTurn(callback, asSupplier(body)).failure();
    }

    /// Calls driver code; the caller holds the write lock once more than afterwards.
    private <T> DriverOutcome<T> callInTurn(String callback, Supplier<T> body) {
        RunningCall outer = running;
        RunningCall mine = RunningCall.begin(callback);
        if (outer == null) {
            running = mine;
        }
        try {
            return outcomeOf(callback, body);
        } finally {
            if (outer == null) {
                running = null;
            }
            serial.writeLock().unlock();
            ends.signal();
            observer.finished(owner, callback, mine.ageNanos());
        }
    }

    /// Calls driver code; the caller holds the read lock once more than afterwards.
    private <T> DriverOutcome<T> callBeside(String callback, Supplier<T> body) {
        boolean outermost = serial.getReadHoldCount() == 1;
        RunningCall mine = RunningCall.begin(callback);
        if (outermost) {
            beside.add(mine);
        }
        try {
            return outcomeOf(callback, body);
        } finally {
            if (outermost) {
                beside.remove(mine);
            }
            serial.readLock().unlock();
            ends.signal();
            observer.finished(owner, callback, mine.ageNanos());
        }
    }

    private <T> DriverOutcome<T> outcomeOf(String callback, Supplier<T> body) {
        Thread caller = Thread.currentThread();
        boolean before = caller.isInterrupted();
        String name = caller.getName();
        try {
            T value = body.get();
            return value == null
                    ? failed(Errno.EIO, callback, "returned null")
                    : new DriverOutcome.Returned<>(value);
        } catch (Throwable e) {
            // Every exception, even an Error, is an answer of the driver: the device and its parent
            // must still reach their ends.
            Refusal refusal = DriverText.refusalOf(e);
            return failed(refusal.errno(), callback, refusal.reason());
        } finally {
            if (!before) {
                // An interrupt that the driver left would end the next wait on this thread.
                var _ = Thread.interrupted();
            }
            if (!name.equals(caller.getName())) {
                // The thread goes on with other work, under a name that the driver chose.
                caller.setName(name);
            }
        }
    }

    private <T> DriverOutcome<T> failed(Errno errno, String callback, String what) {
        return new DriverOutcome.Failed<>(refusal(errno, callback, what));
    }

    private Refusal refusal(Errno errno, String callback, String what) {
        return new Refusal(errno, owner + " " + callback + ": " + what);
    }

    private <T> DriverOutcome<T> busy(String callback) {
        RunningCall work = hosts;
        String with = running().map(RunningCall::callback).orElse("other calls");
        String why = work == null ? "the driver is busy with " + with : "the " + work.callback();
        return failed(
                Errno.ETIMEDOUT,
                callback,
                "no turn within %d ms, %s".formatted(deadline.toMillis(), why));
    }

    /// The object of these calls.
    public String owner() {
        return owner;
    }

    /// The running call, the oldest if there are several, or the host's own work before one; a step
    /// if there is none.
    public Optional<RunningCall> running() {
        return Optional.ofNullable(running)
                .or(() -> Optional.ofNullable(hosts))
                .or(() -> beside.stream().max(Comparator.comparingLong(RunningCall::ageNanos)))
                .or(aside::running)
                .or(() -> steps.running().stream().findFirst());
    }

    /// The call or step that exceeds the deadline, the oldest if there are several.
    public Optional<RunningCall> overdue() {
        return Stream.of(
                        Stream.ofNullable(running),
                        beside.stream(),
                        aside.running().stream(),
                        steps.running().stream())
                .flatMap(calls -> calls)
                .filter(call -> call.ageNanos() > deadline.toNanos())
                .max(Comparator.comparingLong(RunningCall::ageNanos));
    }

    @Override
    public String toString() {
        return "calls of " + Objects.requireNonNull(owner);
    }
}
