package dev.mdev.cli.failure;

/// The exit codes of the command line. Their numbers never change.
public enum ExitCode {
    /// The verb did what it says.
    OK(0),
    /// Every failure without a code of its own.
    FAILED(1),
    /// The arguments, the environment or the profile file are wrong.
    USAGE(2),
    /// The service has no such thing.
    NOT_FOUND(3),
    /// What exists at the moment stands against it.
    CONFLICT(4),
    /// The service does not accept such a request, or cannot do this at all.
    REFUSED(5),
    /// The service does not answer.
    UNREACHABLE(6);

    private final int number;

    ExitCode(int number) {
        this.number = number;
    }

    /// What the shell sees.
    public int number() {
        return number;
    }

    /// The code for an HTTP status of 400 or more.
    public static ExitCode ofStatus(int status) {
        return switch (status) {
            case 404 -> NOT_FOUND;
            case 409 -> CONFLICT;
            case 501 -> REFUSED;
            default -> status < 500 ? REFUSED : FAILED;
        };
    }
}
