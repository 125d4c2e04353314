package dev.mdev.api;

import java.util.Objects;

/// A broken contract or a failed system call, with the Linux error number that a C caller would
/// get.
///
/// Expected outcomes are values ([MapDecision]), never this exception. The message names the
/// relevant values as `name=value`, addresses in hex.
public class MdevException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final Errno errno;

    public MdevException(Errno errno, String message) {
        super(message);
        this.errno = errno;
    }

    public MdevException(Errno errno, String message, Throwable cause) {
        super(message, cause);
        this.errno = errno;
    }

    /// The error number.
    public Errno errno() {
        return errno;
    }

    @Override
    public String getMessage() {
        return Objects.requireNonNull(super.getMessage());
    }

    @Override
    public String toString() {
        return errno + ": " + getMessage();
    }
}
