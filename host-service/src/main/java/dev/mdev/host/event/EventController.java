package dev.mdev.host.event;

import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;

import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

import java.util.List;

/// `/api/v1/events`.
@RestController
@RequestMapping("/api/v1/events")
class EventController {
    private final EventLog events;

    EventController(EventLog events) {
        this.events = events;
    }

    /// The events after number `after`.
    @GetMapping
    EventLog.Page list(
            @RequestParam(defaultValue = "0") long after,
            @RequestParam(defaultValue = "100") int limit) {
        if (after < 0 || limit < 1 || limit > EventLog.KEPT) {
            throw ProblemException.invalid(
                    List.of(
                            new Violation(
                                    "",
                                    "after is at least 0, limit is 1 to %d"
                                            .formatted(EventLog.KEPT))));
        }
        return events.after(after, limit);
    }
}
