package dev.mdev.core.engine.kvm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import java.util.Collection;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// Keeps the virtual processors of a machine out of the guest during an action that none of their
/// stores may interrupt.
///
/// The holder sets its flag, then forces each processor out. A processor announces that it is about
/// to enter, then checks whether it may ([KvmRunLoop]). So at least one of the two sees the other.
final class GuestHold {
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition released = lock.newCondition();

    @GuardedBy("lock")
    private int holders;

    /// Whether a thread holds the processors. Read without the lock at every entry.
    private volatile boolean held;

    /// Runs an action while every processor is outside the guest. Waits for a processor that the
    /// kernel serves in a page fault of its own.
    ///
    /// @param vcpus all processors that may be in the guest, including processors created during
    ///   the action
    void run(Collection<KvmRunLoop> vcpus, Runnable action) {
        add(1);
        try {
            for (KvmRunLoop vcpu : vcpus) {
                vcpu.awaitOut();
            }
            action.run();
        } finally {
            add(-1);
        }
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

    /// Whether a processor must not enter now.
    boolean isHeld() {
        return held;
    }

    /// Waits until processors may enter.
    void awaitReleased() {
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
