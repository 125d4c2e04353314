package dev.mdev.core.pci;

import com.google.errorprone.annotations.concurrent.GuardedBy;

/// An MSI-X table and its pending bits, as a guest reaches them in a BAR.
///
/// Guests may access them with any width at any offset: the specification requires aligned accesses
/// of 4 or 8 bytes and leaves the rest undefined.
final class MsixTable extends MessageVectors {
    static final int ENTRY_BYTES = 16;

    private static final int DATA = 8;
    private static final int VECTOR_CONTROL = 12;
    private static final int VECTOR_MASKED = 1;

    @GuardedBy("lock")
    private final ConfigRegisters entries;

    MsixTable(int vectors, InterruptObserver observer) {
        super(vectors, observer);
        lock.lock();
        try {
            entries = new ConfigRegisters(vectors * ENTRY_BYTES);
            for (int vector = 0; vector < vectors; vector++) {
                int entry = vector * ENTRY_BYTES;
                entries.allowWrite(entry, 8, ~3L);
                entries.allowWrite(entry + DATA, 4, 0xffff_ffffL);
                entries.allowWrite(entry + VECTOR_CONTROL, 4, VECTOR_MASKED);
                entries.set(entry + VECTOR_CONTROL, 4, VECTOR_MASKED);
            }
            entries.rememberDefaults();
            masked.set(0, vectors);
        } finally {
            lock.unlock();
        }
    }

    /// @param offsetBytes in the table; the access lies within the table
    long readTable(int offsetBytes, int widthBytes) {
        lock.lock();
        try {
            return entries.read(offsetBytes, widthBytes);
        } finally {
            lock.unlock();
        }
    }

    void writeTable(int offsetBytes, int widthBytes, long value) {
        lock.lock();
        try {
            entries.write(offsetBytes, widthBytes, value);
            int last = (offsetBytes + widthBytes - 1) / ENTRY_BYTES;
            for (int vector = offsetBytes / ENTRY_BYTES; vector <= last; vector++) {
                long control = entries.read(vector * ENTRY_BYTES + VECTOR_CONTROL, 4);
                masked.set(vector, (control & VECTOR_MASKED) != 0);
            }
            sendPendingLocked();
        } finally {
            lock.unlock();
        }
    }

    /// @param offsetBytes in the pending bits; the access lies within them
    long readPending(int offsetBytes, int widthBytes) {
        lock.lock();
        try {
            long value = 0;
            for (int bit = 0; bit < widthBytes * Byte.SIZE; bit++) {
                if (pending.get(offsetBytes * Byte.SIZE + bit)) {
                    value |= 1L << bit;
                }
            }
            return value;
        } finally {
            lock.unlock();
        }
    }

    @Override
    @GuardedBy("lock")
    Interrupt.Message messageLocked(int vector) {
        int entry = vector * ENTRY_BYTES;
        return new Interrupt.Message(
                true, vector, entries.read(entry, 8), (int) entries.read(entry + DATA, 4));
    }

    /// The table.
    byte[] save() {
        lock.lock();
        try {
            return entries.all();
        } finally {
            lock.unlock();
        }
    }

    /// Sets the table, while the function may not send.
    ///
    /// @return false if it is the table of another function; nothing changed then
    boolean restore(byte[] table) {
        lock.lock();
        try {
            if (!entries.restore(table)) {
                return false;
            }
            for (int vector = 0; vector < count(); vector++) {
                long control = entries.read(vector * ENTRY_BYTES + VECTOR_CONTROL, 4);
                masked.set(vector, (control & VECTOR_MASKED) != 0);
            }
            return true;
        } finally {
            lock.unlock();
        }
    }

    void reset() {
        lock.lock();
        try {
            entries.reset();
            masked.set(0, count());
            pending.clear();
        } finally {
            lock.unlock();
        }
    }
}
