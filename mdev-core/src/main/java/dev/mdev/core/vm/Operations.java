package dev.mdev.core.vm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.time.Duration;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// What is under way in something that cannot be closed meanwhile. Any thread.
final class Operations {
    private final String owner;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition idle = lock.newCondition();

    @GuardedBy("lock")
    private int running;

    /// Whether somebody wants to close it, or did.
    @GuardedBy("lock")
    private boolean closing;

    @GuardedBy("lock")
    private boolean closed;

    /// @param owner what they are of, for messages
    Operations(String owner) {
        this.owner = owner;
    }

    /// Begins one, which [#end] ends.
    ///
    /// @throws MdevException ESHUTDOWN if the owner is closed or being closed
    void begin() {
        lock.lock();
        try {
            if (closed || closing) {
                throw new MdevException(Errno.ESHUTDOWN, owner + " is closed");
            }
            running++;
        } finally {
            lock.unlock();
        }
    }

    void end() {
        lock.lock();
        try {
            running--;
            idle.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /// Waits until nothing else is under way, and lets nothing else begin, until [#endClosing] and
    /// after it.
    ///
    /// @return false if the owner is closed already
    /// @throws MdevException ETIMEDOUT if something else does not end
    boolean beginClosing(Duration timeout) {
        long nanos = timeout.toNanos();
        boolean interrupted = false;
        lock.lock();
        try {
            closing = true;
            while (running > 0 && nanos > 0) {
                try {
                    nanos = idle.awaitNanos(nanos);
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
            if (running > 0) {
                throw new MdevException(
                        Errno.ETIMEDOUT, owner + ": a device is being attached or detached");
            }
            running = closed ? 0 : 1;
            return !closed;
        } finally {
            lock.unlock();
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /// @param done whether the owner is closed; if not, it can only be closed again
    void endClosing(boolean done) {
        lock.lock();
        try {
            running--;
            closed = done;
            idle.signalAll();
        } finally {
            lock.unlock();
        }
    }
}
