package dev.mdev.core.pci;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import java.util.BitSet;

/// The vectors of an MSI capability. They share an address, and the low bits of the data tell them
/// apart.
final class MsiVectors extends MessageVectors {
    @GuardedBy("lock")
    private Settings settings = Settings.DEFAULT;

    MsiVectors(int count, InterruptObserver observer) {
        super(count, observer);
    }

    /// The guest's settings.
    ///
    /// @param enabledVectors the number of vectors with messages from the guest, a power of two
    /// @param address the target of messages
    /// @param data the message, 16 bits
    /// @param maskBits a bit for each masked vector
    record Settings(int enabledVectors, long address, int data, int maskBits) {
        static final Settings DEFAULT = new Settings(1, 0, 0, 0);
    }

    void configure(Settings next) {
        lock.lock();
        try {
            settings = next;
            masked.clear();
            masked.or(BitSet.valueOf(new long[] {Integer.toUnsignedLong(next.maskBits)}));
            pending.clear(next.enabledVectors, count());
            sendPendingLocked();
        } finally {
            lock.unlock();
        }
    }

    /// A device with more vectors than the guest enabled shares them: the vector number is taken
    /// modulo the enabled number.
    @Override
    void fire(int vector) {
        lock.lock();
        try {
            super.fire(vector & settings.enabledVectors - 1);
        } finally {
            lock.unlock();
        }
    }

    @Override
    @GuardedBy("lock")
    Interrupt.Message messageLocked(int vector) {
        int variable = settings.enabledVectors - 1;
        return new Interrupt.Message(
                false, vector, settings.address, (settings.data & ~variable) | vector);
    }

    int pendingBits() {
        lock.lock();
        try {
            return pending.isEmpty() ? 0 : (int) pending.toLongArray()[0];
        } finally {
            lock.unlock();
        }
    }

    void reset() {
        lock.lock();
        try {
            settings = Settings.DEFAULT;
            masked.clear();
            pending.clear();
        } finally {
            lock.unlock();
        }
    }
}
