package dev.mdev.core.vm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.time.Duration;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// Operations in progress on an object that cannot be closed meanwhile. Any thread.
final class Operations {
    private final String owner;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition idle = lock.newCondition();

    @GuardedBy("lock")
    private int running;

    /// Whether a close is pending or complete.
    @GuardedBy("lock")
    private boolean closing;

    @GuardedBy("lock")
    private boolean closed;

    /// @param owner the object, for messages
    Operations(String owner) {
        this.owner = owner;
    }

    /// Begins an operation; [#end] ends it.
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

    /// @throws MdevException ESHUTDOWN if the owner is being closed
    void requireOpen() {
        lock.lock();
        try {
            if (closing) {
                throw new MdevException(Errno.ESHUTDOWN, owner + " is being closed");
            }
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

    /// Waits for all other operations to end, and blocks new ones from now on, also after
    /// [#endClosing].
    ///
    /// @return false if the owner is already closed
    /// @throws MdevException ETIMEDOUT if an operation does not end
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
                        Errno.ETIMEDOUT,
                        owner + ": a device is being attached or detached, or it is being saved");
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

    /// @param done whether the owner is closed; if not, only another close is possible
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
