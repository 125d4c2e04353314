package dev.mdev.host.web;

/// Ends a request whose work goes on.
public final class AcceptedException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final transient Object operation;
    private final String path;

    /// @param operation the body of the answer
    /// @param path where the client finds it later
    public AcceptedException(Object operation, String path) {
        super("it goes on", null, false, false);
        this.operation = operation;
        this.path = path;
    }

    Object operation() {
        return operation;
    }

    String path() {
        return path;
    }
}
