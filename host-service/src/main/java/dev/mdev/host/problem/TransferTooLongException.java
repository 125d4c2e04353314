package dev.mdev.host.problem;

import java.io.IOException;
import java.time.Duration;
import java.util.Objects;

/// A device's state is on its way for longer than it may be: whoever sends or takes it keeps the
/// device from everybody else.
public final class TransferTooLongException extends IOException {
    private static final long serialVersionUID = 1L;

    /// @param limit the longest that a transfer may take
    public TransferTooLongException(Duration limit) {
        super("a transfer takes at most %s (mdev.web.max-transfer)".formatted(limit));
    }

    @Override
    public String getMessage() {
        return Objects.requireNonNull(super.getMessage());
    }
}
