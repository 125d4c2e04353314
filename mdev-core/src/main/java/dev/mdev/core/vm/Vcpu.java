package dev.mdev.core.vm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.engine.VcpuEngine;
import dev.mdev.core.machinestate.ProgramPosition;
import dev.mdev.core.machinestate.SmmPosition;
import dev.mdev.core.sync.Cancellation;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.Syscalls;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/// A virtual processor: one platform thread that executes guest programs, one at a time.
public final class Vcpu {
    /// How nice processors are: one gets about a tenth of the time of an ordinary thread beside it.
    static final int NICE = 10;

    private final int id;
    private final Processors processors;
    private final MemoryLayout.Mmio mmio;
    private final Thread thread;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition work = lock.newCondition();
    private final Condition rest = lock.newCondition();

    /// Null until the first program.
    @GuardedBy("lock")
    private @Nullable VcpuEngine engine;

    @GuardedBy("lock")
    private @Nullable Task task;

    /// Whether programs must rest between two accesses.
    private volatile boolean held;

    /// Where the program rests, or null.
    @GuardedBy("lock")
    private @Nullable ProgramPosition resting;

    /// Whether new programs are blocked.
    @GuardedBy("lock")
    private boolean paused;

    @GuardedBy("lock")
    private boolean closed;

    Vcpu(String threadName, int id, Processors processors, MemoryLayout.Mmio mmio) {
        this.id = id;
        this.processors = processors;
        this.mmio = mmio;
        thread = Thread.ofPlatform().name(threadName).daemon().start(this::loop);
    }

    /// The engine's side.
    ///
    /// @param create makes the engine's processor: for the first program, because dirty rings come
    ///   before the first processor
    /// @param ringFull empties the dirty rings of the machine
    record Processors(Supplier<VcpuEngine> create, Runnable ringFull) {}

    private record Task(
            ProgramRun run, Cancellation waits, CompletableFuture<ProgramResult> result) {}

    public int id() {
        return id;
    }

    /// The id of the thread that executes the guest, as [Thread#threadId] has it.
    public long threadId() {
        return thread.threadId();
    }

    /// Executes a program.
    ///
    /// The future completes with the program. At the deadline, the program is stopped, and ends as
    /// interrupted; a wait for a driver's turn ends, too. Driver code is not interrupted: if the
    /// processor is in a callback that does not return within another second, the future fails with
    /// ETIMEDOUT, and the processor stays busy until the callback returns.
    ///
    /// @throws MdevException EBUSY if a program is running or the machine is paused, ESHUTDOWN if
    ///   the machine is closed
    public CompletableFuture<ProgramResult> execute(GuestProgram program, Duration deadline) {
        CompletableFuture<ProgramResult> result = new CompletableFuture<>();
        Task mine =
                new Task(
                        new ProgramRun(mmio, program, processors.ringFull, this::restIfHeld),
                        new Cancellation(Errno.EINTR),
                        result);
        lock.lock();
        try {
            if (closed) {
                throw new MdevException(Errno.ESHUTDOWN, "vcpu=" + id + " is closed");
            }
            if (task != null) {
                throw new MdevException(Errno.EBUSY, "vcpu=" + id + " executes a program");
            }
            if (paused) {
                throw new MdevException(Errno.EBUSY, "vcpu=" + id + " is paused");
            }
            task = mine;
            work.signal();
        } finally {
            lock.unlock();
        }
        return withDeadline(mine, deadline);
    }

    private CompletableFuture<ProgramResult> withDeadline(Task mine, Duration deadline) {
        var stopper = CompletableFuture.delayedExecutor(deadline.toNanos(), TimeUnit.NANOSECONDS);
        var giveUp =
                CompletableFuture.delayedExecutor(
                        deadline.plusSeconds(1).toNanos(), TimeUnit.NANOSECONDS);
        var stopping = CompletableFuture.runAsync(() -> stop(mine), stopper);
        var givingUp = CompletableFuture.runAsync(() -> abandon(mine), giveUp);
        return mine.result.whenComplete((_, _) -> {
            stopping.cancel(false);
            givingUp.cancel(false);
        });
    }

    private void stop(Task mine) {
        lock.lock();
        try {
            if (mine.equals(task)) {
                mine.run.stop();
                rest.signalAll();
                if (engine != null) {
                    engine.kick();
                }
                mine.waits.cancel();
            }
        } finally {
            lock.unlock();
        }
    }

    private void abandon(Task mine) {
        mine.result.completeExceptionally(
                new MdevException(
                        Errno.ETIMEDOUT,
                        "vcpu=%d does not stop: it is at %s"
                                .formatted(id, innermostDriverFrame())));
    }

    private String innermostDriverFrame() {
        for (StackTraceElement frame : thread.getStackTrace()) {
            if (!frame.getClassName().startsWith("java.")
                    && !frame.getClassName().startsWith("jdk.")) {
                return frame.toString();
            }
        }
        return "an unknown place";
    }

    /// Whether it is in system management mode.
    public boolean isInSmm() {
        VcpuEngine known = made();
        return known != null && known.isInSmm();
    }

    /// Its system management mode; for the thread that holds it.
    ///
    /// @param firstSmbase where firmware puts its handler's memory
    SmmPosition smmPosition(long firstSmbase) {
        lock.lock();
        try {
            return engine == null
                    ? new SmmPosition(false, false, firstSmbase)
                    : new SmmPosition(engine.isInSmm(), engine.isSmiWaiting(), engine.smbase());
        } finally {
            lock.unlock();
        }
    }

    /// Sets where its handler's memory is, after a first program and while none runs.
    void setSmbase(long smbase) {
        lock.lock();
        try {
            Objects.requireNonNull(engine, "no program yet").setSmbase(smbase);
        } finally {
            lock.unlock();
        }
    }

    /// Whether a program is running.
    public boolean isBusy() {
        lock.lock();
        try {
            return task != null;
        } finally {
            lock.unlock();
        }
    }

    /// Stops the running program, if any.
    public void interrupt() {
        Task current;
        lock.lock();
        try {
            current = task;
        } finally {
            lock.unlock();
        }
        if (current != null) {
            stop(current);
        }
    }

    /// Blocks new programs until [#resume].
    ///
    /// @return false if a program is running, or another caller has paused the processor: nothing
    ///   changed then
    boolean tryPause() {
        lock.lock();
        try {
            if (task != null || paused) {
                return false;
            }
            paused = true;
            return true;
        } finally {
            lock.unlock();
        }
    }

    void resume() {
        lock.lock();
        try {
            paused = false;
        } finally {
            lock.unlock();
        }
    }

    /// Makes programs rest between two accesses, until [#release]. A program that starts meanwhile
    /// rests before its first access.
    ///
    /// @return whether no program is in an access any more; if not, the processor is stuck in a
    ///   driver's callback, and not held
    boolean hold(Duration timeout) {
        long nanos = timeout.toNanos();
        lock.lock();
        try {
            held = true;
            if (engine != null) {
                engine.kick();
            }
            while (task != null && resting == null && nanos > 0) {
                try {
                    nanos = rest.awaitNanos(nanos);
                } catch (InterruptedException e) {
                    // As if the time were over: the caller gives up.
                    Thread.currentThread().interrupt();
                    nanos = 0;
                }
            }
            held = task == null || resting != null;
            return held;
        } finally {
            lock.unlock();
        }
    }

    void release() {
        lock.lock();
        try {
            held = false;
            rest.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /// Where its program rests; for the thread that holds it.
    ProgramPosition position() {
        lock.lock();
        try {
            ProgramPosition known = resting;
            return known == null ? ProgramPosition.IDLE : known;
        } finally {
            lock.unlock();
        }
    }

    /// Called by the program between two accesses.
    private void restIfHeld(ProgramRun run, int step, long completed) {
        if (!held) {
            return;
        }
        lock.lock();
        try {
            resting = new ProgramPosition(true, step, completed);
            rest.signalAll();
            while (held && !run.isStopped()) {
                rest.awaitUninterruptibly();
            }
            resting = null;
        } finally {
            lock.unlock();
        }
    }

    private void loop() {
        yieldToOperators();
        try {
            for (Task next = awaitTask(); next != null; next = awaitTask()) {
                perform(next);
            }
        } finally {
            VcpuEngine made = made();
            if (made != null) {
                made.close();
            }
        }
    }

    /// Lets threads that answer operators run before this one, so that guests that spin do not keep
    /// the service from answering. A thread may always lower its own priority.
    private static void yieldToOperators() {
        var _ = Syscalls.ofThisProcess().libc().setpriority(LinuxAbi.PRIO_PROCESS, 0, NICE);
    }

    private @Nullable VcpuEngine made() {
        lock.lock();
        try {
            return engine;
        } finally {
            lock.unlock();
        }
    }

    /// The engine's processor; on the processor's thread only.
    private VcpuEngine engine() {
        VcpuEngine known = made();
        if (known != null) {
            return known;
        }
        VcpuEngine created = processors.create.get();
        lock.lock();
        try {
            // A stop from now on kicks it; one from before is seen by the program.
            engine = created;
        } finally {
            lock.unlock();
        }
        return created;
    }

    private @Nullable Task awaitTask() {
        lock.lock();
        try {
            while (task == null && !closed) {
                work.awaitUninterruptibly();
            }
            return task;
        } finally {
            lock.unlock();
        }
    }

    private void perform(Task current) {
        Runnable report;
        try {
            ProgramResult ended = current.waits.get(() -> current.run.run(engine()));
            report = () -> current.result.complete(ended);
        } catch (Throwable e) {
            // Every failure belongs to the caller of the program; the processor itself continues.
            report = () -> current.result.completeExceptionally(e);
        }
        lock.lock();
        try {
            task = null;
            rest.signalAll();
        } finally {
            lock.unlock();
        }
        report.run();
    }

    /// Ends the processor.
    ///
    /// @return whether it ended in time; if not, it is stuck in a driver's callback, and ends when
    ///   the callback returns
    boolean close(Duration timeout) {
        lock.lock();
        try {
            closed = true;
            work.signal();
        } finally {
            lock.unlock();
        }
        interrupt();
        try {
            return thread.join(timeout);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }
}
