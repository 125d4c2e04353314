package dev.mdev.core.bus;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import org.jspecify.annotations.Nullable;

import java.time.Instant;
import java.util.ArrayDeque;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

/// Numbers the events, and tells a listener of them in order.
///
/// The thread that adds an event while no thread is delivering delivers it, with all events that
/// are added in the meantime. The listener is called without a lock, by one thread at a time, and
/// only that thread waits for it.
final class EventQueue {
    /// Events that may wait for delivery: a listener that is further behind misses the oldest.
    static final int MAX_UNTOLD = 4096;

    private final Consumer<MdevEvent> listener;
    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final ArrayDeque<MdevEvent> untold = new ArrayDeque<>();

    @GuardedBy("lock")
    private long last;

    @GuardedBy("lock")
    private boolean telling;

    EventQueue(Consumer<MdevEvent> listener) {
        this.listener = listener;
    }

    void add(MdevEvent.Fact fact) {
        lock.lock();
        try {
            if (untold.size() == MAX_UNTOLD) {
                untold.removeFirst();
            }
            untold.addLast(new MdevEvent(++last, Instant.now(), fact));
            if (telling) {
                return;
            }
            telling = true;
        } finally {
            lock.unlock();
        }
        deliverAll();
    }

    private void deliverAll() {
        while (true) {
            MdevEvent next = nextUndelivered();
            if (next == null) {
                return;
            }
            BusObserver.tell(() -> listener.accept(next));
        }
    }

    /// The next event to deliver; null if there is none, and then no thread delivers any more.
    private @Nullable MdevEvent nextUndelivered() {
        lock.lock();
        try {
            telling = !untold.isEmpty();
            return untold.pollFirst();
        } finally {
            lock.unlock();
        }
    }
}
