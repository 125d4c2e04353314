package dev.mdev.host.problem;

import java.io.IOException;
import java.util.Objects;

/// A body stops in the middle, or comes too slowly.
public final class RequestTimeoutException extends IOException {
    private static final long serialVersionUID = 1L;

    public RequestTimeoutException(String message) {
        super(message);
    }

    @Override
    public String getMessage() {
        return Objects.requireNonNull(super.getMessage());
    }
}
