package dev.mdev.cli.failure;

import org.jspecify.annotations.Nullable;

/// A verb's failure, as the operator sees it.
public final class Failure extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final ExitCode code;
    private final @Nullable String remedy;

    public Failure(ExitCode code, String message) {
        this(code, message, null);
    }

    /// @param message one line, without the program's name
    /// @param remedy what the operator can do about it, in one line
    public Failure(ExitCode code, String message, @Nullable String remedy) {
        super(message, null, false, false);
        this.code = code;
        this.remedy = remedy;
    }

    /// A failure of the arguments.
    public static Failure usage(String message) {
        return new Failure(ExitCode.USAGE, message);
    }

    public ExitCode code() {
        return code;
    }

    /// The message, and the remedy if there is one.
    public String line() {
        return remedy == null ? getMessage() + "" : getMessage() + "; " + remedy;
    }
}
