package dev.mdev.testkit;

/// A driver broke its contract. The message names the rule and the values.
public final class ContractViolation extends AssertionError {
    private static final long serialVersionUID = 1L;

    public ContractViolation(String message) {
        super(message);
    }

    public ContractViolation(String message, Throwable cause) {
        super(message, cause);
    }
}
