package dev.mdev.host.problem;

import java.io.IOException;
import java.time.Duration;
import java.util.Objects;

/// The transfer of a device's state exceeds its limit: its client keeps the device from all others.
public final class TransferTooLongException extends IOException {
    private static final long serialVersionUID = 1L;

    /// @param limit the maximum time of a transfer
    public TransferTooLongException(Duration limit) {
        super("a transfer takes at most %s (mdev.web.max-transfer)".formatted(limit));
    }

    @Override
    public String getMessage() {
        return Objects.requireNonNull(super.getMessage());
    }
}
