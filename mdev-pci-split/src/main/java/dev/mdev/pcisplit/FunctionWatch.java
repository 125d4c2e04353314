package dev.mdev.pcisplit;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.pcisplit.function.PciFunction;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

/// Looks from time to time, and on request, whether a function still answers. Nothing tells a
/// process that a function was unplugged: its pages read as all ones, or as anything.
final class FunctionWatch implements AutoCloseable {
    private final PciFunction function;
    private final long everyNanos;
    private final Consumer<String> gone;
    private final Thread thread;

    /// A leaf.
    private final ReentrantLock lock = new ReentrantLock();

    private final Condition changed = lock.newCondition();

    @GuardedBy("lock")
    private boolean isClosed;

    @GuardedBy("lock")
    private boolean isAsked;

    private FunctionWatch(PciFunction function, Duration every, Consumer<String> gone) {
        this.function = function;
        this.everyNanos = every.toNanos();
        this.gone = gone;
        this.thread =
                Thread.ofPlatform()
                        .daemon()
                        .name("pci-split-" + function.address())
                        .unstarted(this::run);
    }

    /// @param gone receives once, on the watch's thread, why the function is gone
    static FunctionWatch start(PciFunction function, Duration every, Consumer<String> gone) {
        FunctionWatch watch = new FunctionWatch(function, every, gone);
        watch.thread.start();
        return watch;
    }

    /// Lets the watch look at once.
    void lookNow() {
        lock.lock();
        try {
            isAsked = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    private void run() {
        while (awaitNextLook()) {
            Optional<String> why = function.silence();
            if (why.isPresent()) {
                gone.accept(why.get());
                return;
            }
        }
    }

    /// @return false if the watch is closed
    private boolean awaitNextLook() {
        lock.lock();
        try {
            long rest = everyNanos;
            while (!isClosed && !isAsked && rest > 0) {
                rest = changed.awaitNanos(rest);
            }
            isAsked = false;
            return !isClosed;
        } catch (InterruptedException e) {
            // Nobody but the end of the process interrupts this thread.
            return false;
        } finally {
            lock.unlock();
        }
    }

    /// Ends the watch, and waits until it has told of the function, if it is telling.
    @Override
    public void close() {
        lock.lock();
        try {
            isClosed = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        awaitEnd(thread);
    }

    /// Waits for the end of a thread, also if the caller is interrupted; it stays so.
    static void awaitEnd(Thread thread) {
        boolean interrupted = false;
        while (true) {
            try {
                thread.join();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
