package dev.mdev.host.problem;

import dev.mdev.api.MdevException;
import dev.mdev.core.driver.DriverException;
import dev.mdev.core.store.StoreException;

import org.apache.catalina.connector.ClientAbortException;
import org.apache.tomcat.util.http.InvalidParameterException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.TypeMismatchException;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatusCode;
import org.springframework.http.MediaType;
import org.springframework.http.ProblemDetail;
import org.springframework.http.ResponseEntity;
import org.springframework.http.converter.HttpMessageNotReadableException;
import org.springframework.web.ErrorResponse;
import org.springframework.web.bind.MethodArgumentNotValidException;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.RestControllerAdvice;
import org.springframework.web.context.request.ServletWebRequest;
import org.springframework.web.context.request.WebRequest;
import org.springframework.web.method.annotation.MethodArgumentTypeMismatchException;
import org.springframework.web.servlet.mvc.method.annotation.ResponseEntityExceptionHandler;
import org.springframework.web.servlet.resource.NoResourceFoundException;

import java.util.Comparator;
import java.util.List;

/// Turns everything that is thrown while a request is served into a problem detail.
@RestControllerAdvice
class ProblemAdvice extends ResponseEntityExceptionHandler {
    private static final Logger log = LoggerFactory.getLogger(ProblemAdvice.class);

    @ExceptionHandler
    ResponseEntity<Object> onMdev(MdevException e) {
        Problem problem = Problem.of(e);
        if (e instanceof StoreException) {
            log.error("{}: {}", problem.title(), e.toString());
        } else if (problem == Problem.DRIVER_FAILED && !(e instanceof DriverException)) {
            log.warn("request failed: {}", e, e);
        } else if (problem.status().is5xxServerError()) {
            // The stack adds nothing to its message.
            log.warn("request failed: {}", e.toString());
        }
        return answer(Problems.of(e), new HttpHeaders());
    }

    @ExceptionHandler
    ResponseEntity<Object> onProblem(ProblemException e) {
        HttpHeaders headers = new HttpHeaders();
        if (e.problem() == Problem.UNAUTHENTICATED) {
            headers.set(HttpHeaders.WWW_AUTHENTICATE, "Bearer realm=\"mdev\"");
        }
        if (e.problem() == Problem.TOO_MANY_REQUESTS) {
            headers.set(HttpHeaders.RETRY_AFTER, "1");
        }
        return answer(Problems.of(e), headers);
    }

    @ExceptionHandler
    ResponseEntity<Object> onDryRun(DryRunException e) {
        return ResponseEntity.noContent().build();
    }

    /// The query, or a body that the container reads as one, has broken escapes.
    @ExceptionHandler
    ResponseEntity<Object> onParameter(InvalidParameterException e) {
        return answer(
                Problems.of(Problem.MALFORMED, "a parameter cannot be decoded"), new HttpHeaders());
    }

    @ExceptionHandler
    ResponseEntity<Object> onTooLarge(ContentTooLargeException e) {
        HttpHeaders headers = new HttpHeaders();
        // The rest of the body stays unread, so this connection cannot carry another request.
        headers.set(HttpHeaders.CONNECTION, "close");
        return answer(Problems.of(Problem.CONTENT_TOO_LARGE, e.getMessage()), headers);
    }

    @ExceptionHandler
    ResponseEntity<Object> onRequestTimeout(RequestTimeoutException e) {
        HttpHeaders headers = new HttpHeaders();
        // As above.
        headers.set(HttpHeaders.CONNECTION, "close");
        return answer(Problems.of(Problem.REQUEST_TIMEOUT, e.getMessage()), headers);
    }

    @ExceptionHandler
    ResponseEntity<Object> onTooLong(TransferTooLongException e) {
        log.warn("a transfer is cut off: {}", e.getMessage());
        HttpHeaders headers = new HttpHeaders();
        // As above: the rest of a body may still be in transit.
        headers.set(HttpHeaders.CONNECTION, "close");
        return answer(Problems.of(Problem.TIMED_OUT, e.getMessage()), headers);
    }

    /// Only the servlet container can cut a connection.
    @ExceptionHandler
    void onBrokenStream(BrokenStreamException e) throws BrokenStreamException {
        if (isClientGone(e)) {
            log.info("a client left in the middle: {}", e.getMessage());
        } else {
            log.warn("a response ends early: {}: {}", e.getMessage(), String.valueOf(e.getCause()));
        }
        throw e;
    }

    /// The client is gone, so there is no one to answer.
    @ExceptionHandler
    void onClientGone(ClientAbortException e) {
        log.info("a client left: {}", e.toString());
    }

    private static boolean isClientGone(Throwable e) {
        for (Throwable cause = e; cause != null; cause = cause.getCause()) {
            if (cause instanceof ClientAbortException) {
                return true;
            }
        }
        return false;
    }

    @ExceptionHandler
    ResponseEntity<Object> onAnythingElse(Exception e) {
        log.error("a request hit a bug in this service", e);
        return answer(Problems.ofBug(), new HttpHeaders());
    }

    @Override
    protected @Nullable ResponseEntity<Object> handleHttpMessageNotReadable(
            HttpMessageNotReadableException e,
            HttpHeaders headers,
            HttpStatusCode status,
            WebRequest request) {
        for (Throwable cause = e; cause != null; cause = cause.getCause()) {
            if (cause instanceof ContentTooLargeException tooLarge) {
                return onTooLarge(tooLarge);
            }
            if (cause instanceof RequestTimeoutException timeout) {
                return onRequestTimeout(timeout);
            }
            if (cause instanceof ProblemException problem) {
                return onProblem(problem);
            }
        }
        return answer(JsonTrouble.describe(e), headers);
    }

    @Override
    protected @Nullable ResponseEntity<Object> handleMethodArgumentNotValid(
            MethodArgumentNotValidException e,
            HttpHeaders headers,
            HttpStatusCode status,
            WebRequest request) {
        List<Violation> violations =
                e.getFieldErrors().stream()
                        .map(error ->
                                new Violation(
                                        JsonTrouble.pointerOf(error.getField()),
                                        String.valueOf(error.getDefaultMessage())))
                        .sorted(Comparator.comparing(Violation::pointer))
                        .toList();
        return answer(Problems.of(ProblemException.invalid(violations)), headers);
    }

    @Override
    protected @Nullable ResponseEntity<Object> handleTypeMismatch(
            TypeMismatchException e,
            HttpHeaders headers,
            HttpStatusCode status,
            WebRequest request) {
        String name =
                e instanceof MethodArgumentTypeMismatchException mismatch
                        ? mismatch.getName()
                        : String.valueOf(e.getPropertyName());
        Class<?> type = e.getRequiredType();
        return answer(
                Problems.of(
                        Problem.MALFORMED,
                        "%s=%s is not a %s"
                                .formatted(
                                        name,
                                        e.getValue(),
                                        type == null ? "value" : JsonTrouble.wordFor(type))),
                headers);
    }

    @Override
    protected @Nullable ResponseEntity<Object> handleExceptionInternal(
            Exception e,
            @Nullable Object body,
            HttpHeaders headers,
            HttpStatusCode status,
            WebRequest request) {
        Problem problem = Problem.ofStatus(status.value());
        if (problem == Problem.INTERNAL) {
            return onAnythingElse(e);
        }
        String detail =
                switch (e) {
                    case NoResourceFoundException _ -> "nothing is at " + pathOf(request);
                    case ErrorResponse known -> known.getBody().getDetail();
                    default -> null;
                };
        return answer(Problems.of(problem, detail == null ? problem.title() : detail), headers);
    }

    private static String pathOf(WebRequest request) {
        return request instanceof ServletWebRequest servlet
                ? servlet.getRequest().getRequestURI()
                : "this path";
    }

    private static ResponseEntity<Object> answer(ProblemDetail body, HttpHeaders headers) {
        return ResponseEntity.status(body.getStatus())
                .headers(headers)
                .contentType(MediaType.APPLICATION_PROBLEM_JSON)
                .body(body);
    }
}
