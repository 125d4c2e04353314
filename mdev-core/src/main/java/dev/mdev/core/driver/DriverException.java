package dev.mdev.core.driver;

import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;

/// A callback of a driver failed: the error number is the driver's, and means what it means there.
public final class DriverException extends MdevException {
    private static final long serialVersionUID = 1L;

    public DriverException(Refusal refusal) {
        super(refusal.errno(), refusal.reason());
    }
}
