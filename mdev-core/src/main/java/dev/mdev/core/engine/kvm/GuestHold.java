package dev.mdev.core.engine.kvm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import java.util.Collection;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// Keeps the virtual processors of a machine out of the guest while something is done that no store
/// of theirs may come between.
///
/// The holder says so, then gets each processor out. A processor says that it is about to enter,
/// then looks whether it may ([KvmRunLoop]). So at least one of the two sees the other.
final class GuestHold {
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition released = lock.newCondition();

    @GuardedBy("lock")
    private int holders;

    /// Whether somebody holds the processors. Looked at without the lock at every entry.
    private volatile boolean held;

    /// Does something while no processor is in the guest. A processor that the kernel serves in a
    /// page fault of its own is waited for.
    ///
    /// @param vcpus all processors that may be in the guest, also those that come meanwhile
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
                // Not interruptible: an interrupt is for whom the guest's fault asks.
                released.awaitUninterruptibly();
            }
        } finally {
            lock.unlock();
        }
    }
}
