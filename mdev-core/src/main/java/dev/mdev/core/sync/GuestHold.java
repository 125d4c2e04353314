package dev.mdev.core.sync;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// Keeps the vCPUs of a machine out of the guest while something happens that none of their
/// accesses may interrupt.
///
/// The holder calls [#begin], and then waits for each vCPU that is in the guest. A vCPU announces
/// that it is about to enter, and then calls [#isHeld]. So at least one of the two sees the other.
/// Any thread may call all methods; the lock is a leaf.
public final class GuestHold {
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition released = lock.newCondition();

    @GuardedBy("lock")
    private int holders;

    /// Whether a thread holds the vCPUs. Read without the lock at every entry.
    private volatile boolean held;

    /// From here on no vCPU enters. Each call needs a call of [#end].
    public void begin() {
        add(1);
    }

    /// Lets the vCPUs enter, unless another thread holds them, too.
    public void end() {
        add(-1);
    }

    private void add(int count) {
        lock.lock();
        try {
            holders += count;
            held = holders > 0;
            released.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /// Whether a vCPU must not enter now.
    public boolean isHeld() {
        return held;
    }

    /// Waits until vCPUs may enter.
    public void awaitReleased() {
        if (!held) {
            return;
        }
        lock.lock();
        try {
            while (holders > 0) {
                // Not interruptible: an interrupt is for the owner of memory that the guest's fault
                // asks.
                released.awaitUninterruptibly();
            }
        } finally {
            lock.unlock();
        }
    }
}
