package dev.mdev.host.event;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.stereotype.Component;

import java.time.Instant;
import java.util.ArrayDeque;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;

/// The last events, and the log lines about them.
///
/// Any thread may call all methods.
@Component
public final class EventLog {
    /// The number of events that are kept.
    static final int KEPT = 1000;

    private static final Logger log = LoggerFactory.getLogger(EventLog.class);

    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final ArrayDeque<Event> events = new ArrayDeque<>(KEPT);

    @GuardedBy("lock")
    private long lastId;

    /// Records an event.
    public void add(Event.Kind kind, String subject, String detail) {
        if (kind.isTrouble()) {
            log.warn("{} {} {}", kind, subject, detail);
        } else {
            log.info("{} {} {}", kind, subject, detail);
        }
        lock.lock();
        try {
            if (events.size() == KEPT) {
                events.removeFirst();
            }
            lastId++;
            events.addLast(new Event(lastId, Instant.now(), kind, subject, detail));
        } finally {
            lock.unlock();
        }
    }

    /// The events after number `after`, oldest first, at most `limit`; and whether some of them
    /// have been dropped.
    Page after(long after, int limit) {
        lock.lock();
        try {
            long oldest = lastId - events.size() + 1;
            List<Event> found =
                    events.stream().filter(event -> event.id() > after).limit(limit).toList();
            return new Page(found, lastId, after + 1 < oldest);
        } finally {
            lock.unlock();
        }
    }

    /// A part of the log.
    ///
    /// @param items events, oldest first
    /// @param lastId the number of the newest event
    /// @param gap whether events between the requested number and the first item have been dropped
    record Page(List<Event> items, long lastId, boolean gap) {}
}
