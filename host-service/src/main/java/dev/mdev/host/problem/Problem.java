package dev.mdev.host.problem;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.ParentException;
import dev.mdev.core.driver.DriverException;
import dev.mdev.core.store.StoreException;

import org.springframework.http.HttpStatus;

import java.net.URI;
import java.util.Arrays;
import java.util.Locale;

/// The kinds of failure that a client can meet. A kind's [#type] never changes its meaning.
public enum Problem {
    /// The service cannot read the request: invalid JSON, a wrong type, an unknown field.
    MALFORMED(HttpStatus.BAD_REQUEST, "The request cannot be read"),
    /// The request is readable but invalid; `violations` names the places.
    INVALID(HttpStatus.UNPROCESSABLE_CONTENT, "The request is invalid"),
    /// The request has no valid credentials, and needs some.
    UNAUTHENTICATED(HttpStatus.UNAUTHORIZED, "Not authenticated"),
    /// The path or the body names something that does not exist.
    NOT_FOUND(HttpStatus.NOT_FOUND, "Not found"),
    /// The path exists; the method does not.
    METHOD_NOT_ALLOWED(HttpStatus.METHOD_NOT_ALLOWED, "Method not allowed"),
    /// The client accepts no available format.
    NOT_ACCEPTABLE(HttpStatus.NOT_ACCEPTABLE, "No acceptable format"),
    /// The body did not arrive in time.
    REQUEST_TIMEOUT(HttpStatus.REQUEST_TIMEOUT, "The request did not arrive in time"),
    /// The format of the body is not supported.
    UNSUPPORTED_MEDIA_TYPE(
            HttpStatus.UNSUPPORTED_MEDIA_TYPE, "The format of the body is not supported"),
    /// The body is larger than allowed.
    CONTENT_TOO_LARGE(HttpStatus.CONTENT_TOO_LARGE, "The body is too large"),
    /// The name is in use.
    EXISTS(HttpStatus.CONFLICT, "It exists already"),
    /// It is in use; `detail` names the user.
    BUSY(HttpStatus.CONFLICT, "It is in use"),
    /// It does not fit; `detail` gives the reason.
    NO_CAPACITY(HttpStatus.CONFLICT, "It does not fit"),
    /// Its state does not allow this.
    WRONG_STATE(HttpStatus.CONFLICT, "Its state does not allow this"),
    /// It is not as the client saw it: `If-Match` names an older state.
    CHANGED(HttpStatus.PRECONDITION_FAILED, "It has changed"),
    /// The client sends more requests than it may; `Retry-After` says when to go on.
    TOO_MANY_REQUESTS(HttpStatus.TOO_MANY_REQUESTS, "Too many requests"),
    /// Not permitted.
    DENIED(HttpStatus.FORBIDDEN, "Not permitted"),
    /// This host or this driver cannot do this at all.
    NOT_SUPPORTED(HttpStatus.NOT_IMPLEMENTED, "Not supported here"),
    /// Try again later.
    UNAVAILABLE(HttpStatus.SERVICE_UNAVAILABLE, "Not possible at the moment"),
    /// This host lacks memory.
    NO_MEMORY(HttpStatus.INSUFFICIENT_STORAGE, "The host lacks memory"),
    /// Something took too long.
    TIMED_OUT(HttpStatus.GATEWAY_TIMEOUT, "It took too long"),
    /// A driver failed or broke a rule.
    DRIVER_FAILED(HttpStatus.BAD_GATEWAY, "The driver failed"),
    /// A bug in this service; the log has it under the request's id.
    INTERNAL(HttpStatus.INTERNAL_SERVER_ERROR, "A bug in this service"),
    /// The state directory has no room, so changes are refused.
    STORE_FULL(HttpStatus.INSUFFICIENT_STORAGE, "The state directory is full"),
    /// The state directory cannot be read or written, so changes are refused.
    STORE_FAILED(HttpStatus.INTERNAL_SERVER_ERROR, "The state directory fails");

    private static final String PREFIX = "urn:mdev:problem:";

    private final HttpStatus status;
    private final String title;

    Problem(HttpStatus status, String title) {
        this.status = status;
        this.title = title;
    }

    /// Its HTTP status.
    public HttpStatus status() {
        return status;
    }

    /// A description for people; the same for each occurrence.
    public String title() {
        return title;
    }

    /// The word for programs: lower case, with dashes.
    public String code() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /// The problem type.
    public URI type() {
        return URI.create(PREFIX + code());
    }

    /// The kind of a failure of the core.
    public static Problem of(MdevException e) {
        return switch (e) {
            case StoreException store -> store.isFull() ? STORE_FULL : STORE_FAILED;
            // What the driver's error number means is the driver's: an ENODEV of its firmware must
            // not tell the client that its path is wrong.
            case DriverException driver when driver.isAgreed() -> of(driver.errno());
            case DriverException driver ->
                    driver.errno() == Errno.ETIMEDOUT ? TIMED_OUT : DRIVER_FAILED;
            case ParentException parent
                    when parent.reason() == ParentException.Reason.NOT_PRESENT ->
                    WRONG_STATE;
            default -> of(e.errno());
        };
    }

    /// The kind of an error number: the one table from these to HTTP.
    public static Problem of(Errno errno) {
        return switch (errno) {
            case EINVAL, ERANGE, EOVERFLOW, E2BIG, EFBIG, EFAULT, ENOTDIR, EBADF -> INVALID;
            case ENOENT, ENODEV, ENXIO, ESRCH -> NOT_FOUND;
            case EEXIST, EADDRINUSE -> EXISTS;
            case EBUSY -> BUSY;
            case EUSERS, ENOSPC, EDQUOT, EMFILE, ENFILE -> NO_CAPACITY;
            case ESHUTDOWN, ESTALE, ENODATA, ECANCELED, EOWNERDEAD -> WRONG_STATE;
            case EPERM, EACCES -> DENIED;
            case ENOSYS, EOPNOTSUPP, ENOTTY -> NOT_SUPPORTED;
            case EAGAIN, EINTR, ENOBUFS, EDEADLK -> UNAVAILABLE;
            case ENOMEM -> NO_MEMORY;
            case ETIMEDOUT -> TIMED_OUT;
            case EIO, EROFS, EPROTO, EPIPE, ECONNRESET, ECONNREFUSED, EHWPOISON -> DRIVER_FAILED;
        };
    }

    /// The kind of a failure that the web layer found before any code of this service ran.
    public static Problem ofStatus(int httpStatus) {
        return switch (httpStatus) {
            case 400 -> MALFORMED;
            default ->
                    Arrays.stream(values())
                            .filter(problem -> problem.status.value() == httpStatus)
                            .findFirst()
                            .orElse(httpStatus < 500 ? MALFORMED : INTERNAL);
        };
    }

    /// Whether the same request may succeed later without any change.
    public boolean retryable() {
        return switch (this) {
            case BUSY,
                    NO_CAPACITY,
                    UNAVAILABLE,
                    NO_MEMORY,
                    TIMED_OUT,
                    STORE_FULL,
                    REQUEST_TIMEOUT,
                    TOO_MANY_REQUESTS ->
                    true;
            case MALFORMED,
                    INVALID,
                    UNAUTHENTICATED,
                    NOT_FOUND,
                    METHOD_NOT_ALLOWED,
                    NOT_ACCEPTABLE,
                    UNSUPPORTED_MEDIA_TYPE,
                    CONTENT_TOO_LARGE,
                    EXISTS,
                    WRONG_STATE,
                    CHANGED,
                    DENIED,
                    NOT_SUPPORTED,
                    DRIVER_FAILED,
                    INTERNAL,
                    STORE_FAILED ->
                    false;
        };
    }
}
