package dev.mdev.host.problem;

import org.apache.coyote.CloseNowException;

/// A body that failed when a part of it was on its way: the client can be told only by an end of
/// the connection that is no end of a body. For that the container closes it, without a word: what
/// there is to say, we say.
public final class BrokenStreamException extends CloseNowException {
    private static final long serialVersionUID = 1L;

    /// @param what the body
    public BrokenStreamException(String what, Throwable cause) {
        super(what, cause);
    }
}
