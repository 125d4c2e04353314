package dev.mdev.host.problem;

import org.apache.coyote.CloseNowException;

/// A transfer of a body that failed in the middle: only a missing end of the body can tell the
/// client. For that the container closes the connection silently; this service logs the reason.
public final class BrokenStreamException extends CloseNowException {
    private static final long serialVersionUID = 1L;

    /// @param what the body
    public BrokenStreamException(String what, Throwable cause) {
        super(what, cause);
    }
}
