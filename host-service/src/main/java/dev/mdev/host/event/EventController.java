package dev.mdev.host.event;

import dev.mdev.host.access.Caller;
import dev.mdev.host.access.Visibility;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;

import jakarta.servlet.http.HttpServletResponse;

import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpHeaders;
import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.context.request.async.DeferredResult;
import org.springframework.web.servlet.mvc.method.annotation.SseEmitter;

import java.time.Duration;
import java.util.List;
import java.util.function.Predicate;

/// `/api/v1/events`.
@RestController
@RequestMapping("/api/v1/events")
class EventController {
    private static final Duration LONGEST_WAIT = Duration.ofSeconds(60);

    private final EventLog events;
    private final EventWatchers watchers;
    private final Visibility visibility;

    EventController(EventLog events, EventWatchers watchers, Visibility visibility) {
        this.events = events;
        this.watchers = watchers;
        this.visibility = visibility;
    }

    /// The events after a place in the log; if there are none yet, and the client likes to wait, as
    /// soon as there is one.
    @GetMapping
    DeferredResult<EventLog.Page> list(
            @RequestParam(defaultValue = "0") String after,
            @RequestParam(defaultValue = "100") int limit,
            @RequestParam(defaultValue = "0s") Duration wait,
            @RequestParam(required = false) @Nullable List<String> kind,
            @RequestParam(required = false) @Nullable String subject) {
        if (limit < 1 || limit > EventLog.KEPT) {
            throw invalid("limit is 1 to " + EventLog.KEPT);
        }
        if (wait.isNegative() || wait.compareTo(LONGEST_WAIT) > 0) {
            throw invalid("wait is 0s to " + LONGEST_WAIT.toSeconds() + "s");
        }
        return watchers.poll(EventCursor.parse(after), limit, wanted(kind, subject), wait);
    }

    /// The events as they happen, as server-sent events. A client that resumes names the last one
    /// it has; a new client begins with the newest.
    @GetMapping(produces = MediaType.TEXT_EVENT_STREAM_VALUE)
    SseEmitter watch(
            @RequestHeader(name = "Last-Event-ID", required = false) @Nullable String lastEventId,
            @RequestParam(required = false) @Nullable String after,
            @RequestParam(required = false) @Nullable List<String> kind,
            @RequestParam(required = false) @Nullable String subject,
            HttpServletResponse response) {
        String place = lastEventId == null ? after : lastEventId;
        EventCursor from = place == null ? events.newest() : EventCursor.parse(place);
        SseEmitter stream = watchers.watch(from, wanted(kind, subject), Caller.validity());
        response.setHeader(HttpHeaders.CACHE_CONTROL, "no-store");
        return stream;
    }

    /// What the client asks for, of what it sees.
    private Predicate<Event> wanted(@Nullable List<String> kind, @Nullable String subject) {
        Caller caller = Caller.current();
        return EventFilter.of(kind, subject)
                .and(event -> visibility.seesSubject(caller, event.subject()));
    }

    private static ProblemException invalid(String what) {
        return ProblemException.invalid(List.of(new Violation("", what)));
    }
}
