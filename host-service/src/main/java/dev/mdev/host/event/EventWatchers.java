package dev.mdev.host.event;

import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.SmartLifecycle;
import org.springframework.http.MediaType;
import org.springframework.stereotype.Component;
import org.springframework.web.context.request.async.DeferredResult;
import org.springframework.web.servlet.mvc.method.annotation.SseEmitter;

import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.function.Predicate;

/// The clients that wait for events. Each has a virtual thread and a place in the log, and nothing
/// else: the log's buffer is the queue of all of them. A client that takes nothing for as long as
/// the server's connection timeout is disconnected; it resumes with its last id.
@Component
final class EventWatchers implements SmartLifecycle {
    /// The most events between two looks at the log.
    private static final int BATCH = 100;

    /// How long a long poll may outlast its wait before the server gives it up.
    private static final Duration SLACK = Duration.ofSeconds(30);

    /// Then the client connects again, and shows again who it is.
    private static final Duration LIFE = Duration.ofMinutes(5);

    private static final Duration RETRY = Duration.ofSeconds(1);

    private static final Logger log = LoggerFactory.getLogger(EventWatchers.class);

    private final EventLog events;
    private final EventProperties properties;
    private final AtomicInteger count = new AtomicInteger();
    private volatile boolean running;

    EventWatchers(EventLog events, EventProperties properties) {
        this.events = events;
        this.properties = properties;
    }

    /// What a stream begins with, and what it says about lost events.
    ///
    /// @param epoch names the numbering
    /// @param lastId the number of the newest event
    record Position(String epoch, long lastId) {
        static Position of(EventLog.Page page) {
            return new Position(page.epoch(), page.lastId());
        }
    }

    /// The number of clients that wait.
    int count() {
        return count.get();
    }

    /// Sends events until the client leaves, is not welcome any more, or the service stops.
    ///
    /// @param welcome whether the client's credentials count
    /// @throws ProblemException if there are too many watchers
    SseEmitter watch(EventCursor from, Predicate<Event> wanted, BooleanSupplier welcome) {
        SseEmitter emitter = new SseEmitter(0L);
        start(() -> {
            try {
                send(emitter, from, wanted, welcome);
                emitter.complete();
            } catch (IOException | IllegalStateException e) {
                // The server has told the emitter already.
                log.debug("a watcher left: {}", e.toString());
            }
        });
        return emitter;
    }

    private void send(
            SseEmitter emitter, EventCursor from, Predicate<Event> wanted, BooleanSupplier welcome)
            throws IOException, InterruptedException {
        long end = System.nanoTime() + LIFE.toNanos();
        EventLog.Page page = events.after(from, BATCH, wanted);
        SseEmitter.SseEventBuilder open =
                SseEmitter.event()
                        .name("open")
                        .reconnectTime(RETRY.toMillis())
                        .data(Position.of(page), MediaType.APPLICATION_JSON);
        // A client that has heard of no gap yet hears of it when it resumes.
        emitter.send(page.gap() ? open : open.id(page.start().toString()));
        while (true) {
            send(emitter, page);
            if (events.isStopped() || System.nanoTime() - end > 0) {
                return;
            }
            EventCursor here = page.next().here();
            events.awaitAfter(here.id(), properties.heartbeat());
            if (!welcome.getAsBoolean()) {
                return;
            }
            page = events.after(here, BATCH, wanted);
        }
    }

    /// A heartbeat moves the client's place, so that it resumes behind events that it did not want.
    private static void send(SseEmitter emitter, EventLog.Page page) throws IOException {
        if (page.gap()) {
            emitter.send(
                    SseEmitter.event()
                            .name("gap")
                            .id(page.start().toString())
                            .data(Position.of(page), MediaType.APPLICATION_JSON));
        }
        for (Event event : page.items()) {
            emitter.send(
                    SseEmitter.event()
                            .id(new EventCursor(page.epoch(), event.id()).toString())
                            .data(event, MediaType.APPLICATION_JSON));
        }
        if (page.items().isEmpty()) {
            emitter.send(SseEmitter.event().id(page.next().toString()).comment(""));
        }
    }

    /// The events after a place, as soon as there is one, at the latest after `wait`.
    ///
    /// @throws ProblemException if there are too many watchers
    DeferredResult<EventLog.Page> poll(
            EventCursor from, int limit, Predicate<Event> wanted, Duration wait) {
        DeferredResult<EventLog.Page> result = new DeferredResult<>(wait.plus(SLACK).toMillis());
        EventLog.Page now = events.after(from, limit, wanted);
        if (now.gap() || !now.items().isEmpty() || wait.isZero()) {
            result.setResult(now);
            return result;
        }
        start(() -> result.setResult(await(now, limit, wanted, wait)));
        return result;
    }

    private EventLog.Page await(
            EventLog.Page before, int limit, Predicate<Event> wanted, Duration wait)
            throws InterruptedException {
        long end = System.nanoTime() + wait.toNanos();
        EventLog.Page page = before;
        while (page.items().isEmpty() && !page.gap() && !events.isStopped()) {
            long leftNanos = end - System.nanoTime();
            if (leftNanos <= 0) {
                break;
            }
            EventCursor here = page.next().here();
            events.awaitAfter(here.id(), Duration.ofNanos(leftNanos));
            page = events.after(here, limit, wanted);
        }
        return page;
    }

    /// The work of one watcher.
    @FunctionalInterface
    private interface Watch {
        void run() throws InterruptedException;
    }

    private void start(Watch watch) {
        if (count.incrementAndGet() > properties.maxWatchers()) {
            count.decrementAndGet();
            throw new ProblemException(
                    Problem.UNAVAILABLE,
                    "%d clients wait for events already, as many as mdev.events.max-watchers"
                            .formatted(properties.maxWatchers()));
        }
        Thread.ofVirtual()
                .name("events")
                .start(() -> {
                    try {
                        watch.run();
                    } catch (InterruptedException _) {
                        Thread.currentThread().interrupt();
                    } finally {
                        count.decrementAndGet();
                    }
                });
    }

    @Override
    public void start() {
        running = true;
    }

    /// Ends all streams, before the web server waits for them.
    @Override
    public void stop() {
        running = false;
        events.stop();
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    /// The last to start and the first to stop.
    @Override
    public int getPhase() {
        return Integer.MAX_VALUE;
    }
}
