package dev.mdev.core.vm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.engine.VcpuEngine;
import dev.mdev.core.sync.Cancellation;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// A virtual processor: one platform thread that executes guest programs, one at a time.
public final class Vcpu {
    private final int id;
    private final VcpuEngine engine;
    private final MmioBus mmio;
    private final Thread thread;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition work = lock.newCondition();

    @GuardedBy("lock")
    private @Nullable Task task;

    /// Whether new programs are blocked.
    @GuardedBy("lock")
    private boolean paused;

    @GuardedBy("lock")
    private boolean closed;

    Vcpu(String machine, int id, VcpuEngine engine, MmioBus mmio) {
        this.id = id;
        this.engine = engine;
        this.mmio = mmio;
        thread = Thread.ofPlatform().name(machine + "-vcpu" + id).daemon().start(this::loop);
    }

    private record Task(
            ProgramRun run, Cancellation waits, CompletableFuture<ProgramResult> result) {}

    public int id() {
        return id;
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
                        new ProgramRun(engine, mmio, program),
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
                engine.kick();
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

    private void loop() {
        try {
            for (Task next = awaitTask(); next != null; next = awaitTask()) {
                perform(next);
            }
        } finally {
            engine.close();
        }
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
            ProgramResult ended = current.waits.get(current.run::run);
            report = () -> current.result.complete(ended);
        } catch (Throwable e) {
            // Every failure belongs to the caller of the program; the processor itself continues.
            report = () -> current.result.completeExceptionally(e);
        }
        lock.lock();
        try {
            task = null;
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
