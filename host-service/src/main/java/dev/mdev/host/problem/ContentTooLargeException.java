package dev.mdev.host.problem;

import java.io.IOException;
import java.util.Objects;

/// A request's body is larger than allowed.
public final class ContentTooLargeException extends IOException {
    private static final long serialVersionUID = 1L;

    /// @param limitBytes the largest body that is accepted
    public ContentTooLargeException(long limitBytes) {
        super("a body has at most %d bytes".formatted(limitBytes));
    }

    @Override
    public String getMessage() {
        return Objects.requireNonNull(super.getMessage());
    }
}
