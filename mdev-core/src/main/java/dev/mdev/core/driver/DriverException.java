package dev.mdev.core.driver;

import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;

/// A callback of a driver failed. The error number is the driver's own, unless it is an
/// [agreed][#isAgreed] one.
public final class DriverException extends MdevException {
    private static final long serialVersionUID = 1L;

    private final boolean agreed;

    public DriverException(Refusal refusal) {
        this(refusal, false);
    }

    private DriverException(Refusal refusal, boolean agreed) {
        super(refusal.errno(), refusal.reason());
        this.agreed = agreed;
    }

    /// A failure with an error to which the driver interface gives a meaning for the caller.
    public static DriverException agreed(Refusal refusal) {
        return new DriverException(refusal, true);
    }

    /// Whether the driver interface says what the error number means.
    public boolean isAgreed() {
        return agreed;
    }
}
