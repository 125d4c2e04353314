package dev.mdev.vfiouser;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.MdevException;
import dev.mdev.core.sys.EventFd;
import dev.mdev.core.sys.NativeFd;

import java.util.concurrent.locks.ReentrantLock;

/// An event counter of a client.
///
/// The client may do anything to it, also make it block and fill it. A thread that signals it then
/// waits, but not for long: [#rescue] empties the counter.
final class ClientEvent implements AutoCloseable {
    private static final long PATIENCE_NANOS = 200_000_000;
    private static final long NOT_SIGNALLING = 0;

    private final EventFd event;
    private final ReentrantLock life = new ReentrantLock();

    @GuardedBy("life")
    private boolean closed;

    /// When the current signal began. The threads that signal do so one at a time.
    private volatile long sinceNanos = NOT_SIGNALLING;

    /// @param event becomes this object's
    ClientEvent(EventFd event) {
        this.event = event;
    }

    NativeFd fd() {
        return event.fd();
    }

    /// Counts one. An interrupt that the counter cannot take is lost.
    void signal() {
        sinceNanos = System.nanoTime() | 1;
        try {
            event.signal();
        } catch (MdevException e) {
            return;
        } finally {
            sinceNanos = NOT_SIGNALLING;
        }
    }

    /// Takes the count.
    long take() {
        return event.drain();
    }

    /// Called from time to time: lets a thread continue that waits in [#signal].
    void rescue(long nowNanos) {
        life.lock();
        try {
            long since = sinceNanos;
            if (!closed && since != NOT_SIGNALLING && nowNanos - since > PATIENCE_NANOS) {
                var _ = event.drain();
            }
        } finally {
            life.unlock();
        }
    }

    @Override
    public void close() {
        life.lock();
        try {
            closed = true;
            event.close();
        } finally {
            life.unlock();
        }
    }
}
