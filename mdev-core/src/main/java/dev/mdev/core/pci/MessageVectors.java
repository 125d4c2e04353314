package dev.mdev.core.pci;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;

/// Vectors that send messages, with their masks and pending bits: the common part of MSI and MSI-X.
///
/// A vector fires if the function may send and the vector is unmasked. Otherwise it becomes
/// pending, and fires when both hold.
abstract sealed class MessageVectors permits MsiVectors, MsixTable {
    final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    final BitSet masked = new BitSet();

    @GuardedBy("lock")
    final BitSet pending = new BitSet();

    private final int count;
    private final InterruptObserver observer;

    /// Whether the function may send: enabled, unmasked as a whole, and with bus mastering.
    @GuardedBy("lock")
    private boolean open;

    MessageVectors(int count, InterruptObserver observer) {
        this.count = count;
        this.observer = observer;
    }

    final int count() {
        return count;
    }

    /// What is so of each vector now.
    final List<InterruptState.Vector> states() {
        lock.lock();
        try {
            List<InterruptState.Vector> states = new ArrayList<>();
            for (int vector = 0; vector < count; vector++) {
                states.add(
                        new InterruptState.Vector(vector, masked.get(vector), pending.get(vector)));
            }
            return List.copyOf(states);
        } finally {
            lock.unlock();
        }
    }

    /// The device wants to send the message of a vector, 0 to [#count] - 1.
    void fire(int vector) {
        lock.lock();
        try {
            pending.set(vector);
            sendPendingLocked();
        } finally {
            lock.unlock();
        }
    }

    final void setOpen(boolean nowOpen) {
        lock.lock();
        try {
            open = nowOpen;
            sendPendingLocked();
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    final void sendPendingLocked() {
        if (!open) {
            return;
        }
        for (int vector = pending.nextSetBit(0);
                vector >= 0;
                vector = pending.nextSetBit(vector + 1)) {
            if (!masked.get(vector)) {
                pending.clear(vector);
                observer.interrupted(messageLocked(vector));
            }
        }
    }

    /// The pending vectors.
    final BitSet pendingVectors() {
        lock.lock();
        try {
            return (BitSet) pending.clone();
        } finally {
            lock.unlock();
        }
    }

    /// Sets which vectors are pending, while the function may not send.
    final void restorePending(BitSet vectors) {
        lock.lock();
        try {
            pending.clear();
            pending.or(vectors);
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    abstract Interrupt.Message messageLocked(int vector);
}
