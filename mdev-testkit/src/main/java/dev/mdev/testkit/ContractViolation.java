package dev.mdev.testkit;

/// A driver did what its contract forbids. The message says what, with values.
public final class ContractViolation extends AssertionError {
    private static final long serialVersionUID = 1L;

    public ContractViolation(String message) {
        super(message);
    }

    public ContractViolation(String message, Throwable cause) {
        super(message, cause);
    }
}
