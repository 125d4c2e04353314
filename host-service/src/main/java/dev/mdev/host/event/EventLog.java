package dev.mdev.host.event;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.MdevException;
import dev.mdev.core.store.StateFiles;

import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.stereotype.Component;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;

/// The last events, in memory and in the state directory, and the log lines about them.
///
/// Watchers read at their own pace, from the one buffer: a slow one misses events and learns of it;
/// it holds up nobody. Any thread may call all methods.
@Component
public final class EventLog {
    /// The number of events that are kept.
    static final int KEPT = 1000;

    /// The longest detail, in characters.
    static final int MAX_DETAIL = 1024;

    private static final long RETRY_NANOS = 1_000_000_000;

    private static final Logger log = LoggerFactory.getLogger(EventLog.class);

    /// Held while an event is written to the file.
    private final ReentrantLock lock = new ReentrantLock();

    private final Condition changed = lock.newCondition();

    @GuardedBy("lock")
    private final EventFile file;

    @GuardedBy("lock")
    private final ArrayDeque<Event> events = new ArrayDeque<>(KEPT);

    @GuardedBy("lock")
    private String epoch;

    @GuardedBy("lock")
    private long lastId;

    /// Why the file lacks events, if it does.
    @GuardedBy("lock")
    private @Nullable MdevException failure;

    @GuardedBy("lock")
    private long retryNanos;

    @GuardedBy("lock")
    private boolean stopped;

    EventLog(StateFiles files) {
        EventFile.Opened opened = EventFile.open(files, KEPT);
        file = opened.file();
        epoch = opened.epoch().orElseGet(EventLog::newEpoch);
        int dropped = Math.max(0, opened.events().size() - KEPT);
        events.addAll(opened.events().subList(dropped, opened.events().size()));
        lastId = events.isEmpty() ? 0 : events.getLast().id();
        try {
            file.rewrite(epoch, List.copyOf(events));
        } catch (MdevException e) {
            failed(e);
        }
    }

    private static String newEpoch() {
        return UUID.randomUUID().toString().replace("-", "").substring(0, 16);
    }

    /// Records an event.
    public void add(Event.Kind kind, String subject, String detail) {
        if (kind.isTrouble()) {
            log.warn("{} {} {}", kind, subject, detail);
        } else {
            log.info("{} {} {}", kind, subject, detail);
        }
        String text = detail.length() > MAX_DETAIL ? detail.substring(0, MAX_DETAIL) : detail;
        lock.lock();
        try {
            if (events.size() == KEPT) {
                events.removeFirst();
            }
            lastId++;
            Event event = new Event(lastId, Instant.now(), kind, subject, text);
            events.addLast(event);
            write(event);
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void write(Event event) {
        if (failure != null && System.nanoTime() - retryNanos < 0) {
            return;
        }
        try {
            if (file.wantsRewrite()) {
                file.rewrite(epoch, List.copyOf(events));
            } else {
                file.append(event);
            }
            failure = null;
        } catch (MdevException e) {
            failed(e);
        }
    }

    /// Events from now on may be missing after a restart, and their numbers given again: they are
    /// of another epoch.
    @GuardedBy("lock")
    private void failed(MdevException e) {
        if (failure == null) {
            log.error("events are not written down for now: {}", e.toString());
            epoch = newEpoch();
        }
        failure = e;
        retryNanos = System.nanoTime() + RETRY_NANOS;
    }

    /// Why events are not written down now, if they are not.
    public Optional<String> failure() {
        lock.lock();
        try {
            return Optional.ofNullable(failure).map(MdevException::toString);
        } finally {
            lock.unlock();
        }
    }

    /// The place after the newest event.
    EventCursor newest() {
        lock.lock();
        try {
            return new EventCursor(epoch, lastId);
        } finally {
            lock.unlock();
        }
    }

    /// The events after a place, oldest first, at most `limit`.
    ///
    /// @param wanted which events to give; it is asked without a lock
    Page after(EventCursor cursor, int limit, Predicate<Event> wanted) {
        List<Event> candidates;
        EventCursor newest;
        boolean gap;
        lock.lock();
        try {
            long oldest = lastId - events.size() + 1;
            boolean isForeign = !cursor.epoch().isEmpty() && !cursor.epoch().equals(epoch);
            gap = isForeign || cursor.id() > lastId || cursor.id() + 1 < oldest;
            candidates = from(gap ? oldest : cursor.id() + 1);
            newest = new EventCursor(epoch, lastId);
        } finally {
            lock.unlock();
        }
        List<Event> found = candidates.stream().filter(wanted).limit(limit).toList();
        EventCursor next =
                found.size() == limit
                        ? new EventCursor(newest.epoch(), found.getLast().id())
                        : newest;
        return new Page(found, newest.epoch(), newest.id(), next, gap);
    }

    @GuardedBy("lock")
    private List<Event> from(long first) {
        List<Event> found = new ArrayList<>();
        Iterator<Event> newestFirst = events.descendingIterator();
        while (newestFirst.hasNext()) {
            Event event = newestFirst.next();
            if (event.id() < first) {
                break;
            }
            found.add(event);
        }
        return found.reversed();
    }

    /// A part of the log.
    ///
    /// @param items events, oldest first
    /// @param epoch names the numbering
    /// @param lastId the number of the newest event
    /// @param next the place after this part
    /// @param gap whether events between the requested place and the first item are lost, or may be
    record Page(List<Event> items, String epoch, long lastId, EventCursor next, boolean gap) {
        /// The place before the first item.
        EventCursor start() {
            return items.isEmpty() ? next : new EventCursor(epoch, items.getFirst().id() - 1);
        }
    }

    /// Waits until there is an event after `id`, the time is over, or the service stops.
    void awaitAfter(long id, Duration time) throws InterruptedException {
        lock.lock();
        try {
            long nanos = time.toNanos();
            while (lastId <= id && !stopped && nanos > 0) {
                nanos = changed.awaitNanos(nanos);
            }
        } finally {
            lock.unlock();
        }
    }

    /// Ends all waits, now and later.
    void stop() {
        lock.lock();
        try {
            stopped = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    boolean isStopped() {
        lock.lock();
        try {
            return stopped;
        } finally {
            lock.unlock();
        }
    }
}
