package dev.mdev.core.bus;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import org.jspecify.annotations.Nullable;

import java.time.Instant;
import java.util.ArrayDeque;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

/// Numbers the events, keeps the last ones, and passes them to a listener in order.
///
/// The thread that adds an event while no thread is delivering delivers it, with all events that
/// are added in the meantime. The listener is called without a lock, by one thread at a time, and
/// only that thread waits for it.
final class EventLog {
    private final int kept;
    private final Consumer<MdevEvent> listener;
    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final ArrayDeque<MdevEvent> recent = new ArrayDeque<>();

    /// Events that the listener has not received yet.
    @GuardedBy("lock")
    private final ArrayDeque<MdevEvent> untold = new ArrayDeque<>();

    @GuardedBy("lock")
    private long last;

    @GuardedBy("lock")
    private boolean telling;

    /// @param kept the number of events to keep; a listener that is further behind misses some
    EventLog(int kept, Consumer<MdevEvent> listener) {
        this.kept = kept;
        this.listener = listener;
    }

    void add(MdevEvent.Fact fact) {
        lock.lock();
        try {
            MdevEvent event = new MdevEvent(++last, Instant.now(), fact);
            addBoundedLocked(recent, event);
            addBoundedLocked(untold, event);
            if (telling) {
                return;
            }
            telling = true;
        } finally {
            lock.unlock();
        }
        tellAll();
    }

    @GuardedBy("lock")
    private void addBoundedLocked(ArrayDeque<MdevEvent> queue, MdevEvent event) {
        if (queue.size() == kept) {
            queue.removeFirst();
        }
        queue.addLast(event);
    }

    private void tellAll() {
        while (true) {
            MdevEvent next = nextUntold();
            if (next == null) {
                return;
            }
            BusObserver.tell(() -> listener.accept(next));
        }
    }

    /// The next event to deliver; null if there is none, and then no thread delivers any more.
    private @Nullable MdevEvent nextUntold() {
        lock.lock();
        try {
            telling = !untold.isEmpty();
            return untold.pollFirst();
        } finally {
            lock.unlock();
        }
    }

    /// The kept events after number `sequence`, oldest first.
    List<MdevEvent> after(long sequence) {
        lock.lock();
        try {
            return recent.stream().filter(event -> event.sequence() > sequence).toList();
        } finally {
            lock.unlock();
        }
    }
}
