package dev.mdev.core.driver;

import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;

/// A callback of a driver failed. The error number is the driver's own.
public final class DriverException extends MdevException {
    private static final long serialVersionUID = 1L;

    public DriverException(Refusal refusal) {
        super(refusal.errno(), refusal.reason());
    }
}
