package dev.mdev.host.problem;

/// A body that failed when a part of it was on its way: the client can be told only by an end of
/// the connection that is no end of a body.
public final class BrokenStreamException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /// @param what the body
    public BrokenStreamException(String what, Throwable cause) {
        super(what, cause);
    }
}
