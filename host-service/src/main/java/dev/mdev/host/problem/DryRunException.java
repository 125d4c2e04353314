package dev.mdev.host.problem;

/// Ends a request that only asked whether it would be done: nothing refuses it.
public final class DryRunException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public DryRunException() {
        super("it would be done", null, false, false);
    }
}
