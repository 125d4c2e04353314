package dev.mdev.host.problem;

import dev.mdev.api.MdevException;

import org.jspecify.annotations.Nullable;
import org.slf4j.MDC;
import org.springframework.http.ProblemDetail;

import tools.jackson.core.JacksonException;

import java.net.URI;
import java.util.List;
import java.util.UUID;

/// Makes problem details: all of them have a `type`, a `code`, and the request's id as `instance`.
public final class Problems {
    /// The name under which the log has the id of the current request.
    public static final String REQUEST_ID = "requestId";

    /// The header of a response that has the id.
    public static final String REQUEST_ID_HEADER = "X-Request-Id";

    private Problems() {}

    /// A problem detail.
    ///
    /// @param detail what happened, for people
    public static ProblemDetail of(Problem problem, String detail) {
        return of(problem, detail, MDC.get(REQUEST_ID));
    }

    /// A problem detail of a request whose id is not in the log.
    static ProblemDetail of(Problem problem, String detail, @Nullable String requestId) {
        ProblemDetail body = ProblemDetail.forStatusAndDetail(problem.status(), detail);
        body.setType(problem.type());
        body.setTitle(problem.title());
        // A failure before the request got its id is still an occurrence of its own.
        String id = requestId == null ? UUID.randomUUID().toString() : requestId;
        body.setInstance(URI.create("urn:uuid:" + id));
        body.setProperty("code", problem.code());
        body.setProperty("retryable", problem.retryable());
        return body;
    }

    /// The core's failure, with its error number.
    public static ProblemDetail of(MdevException e) {
        ProblemDetail body = of(Problem.of(e), e.getMessage());
        body.setProperty("errno", e.errno().name());
        return body;
    }

    /// This service's failure, with the invalid parts of the request.
    public static ProblemDetail of(ProblemException e) {
        ProblemDetail body = of(e.problem(), e.getMessage());
        e.errno().ifPresent(errno -> body.setProperty("errno", errno.name()));
        return withViolations(body, e.violations());
    }

    /// A bug in this service, whose stack the log has.
    public static ProblemDetail ofBug() {
        return of(
                Problem.INTERNAL,
                "This is a bug in the service; its log has the stack under this instance.");
    }

    static ProblemDetail withViolations(ProblemDetail body, List<Violation> violations) {
        if (!violations.isEmpty()) {
            body.setProperty("violations", violations);
        }
        return body;
    }

    /// What is wrong with a text that is no JSON of the expected form, and where, without names of
    /// Java classes.
    public static String wordsOf(JacksonException e) {
        return JsonTrouble.text(e);
    }
}
