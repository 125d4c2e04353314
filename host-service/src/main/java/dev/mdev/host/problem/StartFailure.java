package dev.mdev.host.problem;

import dev.mdev.api.MdevException;

import org.springframework.boot.diagnostics.AbstractFailureAnalyzer;
import org.springframework.boot.diagnostics.FailureAnalysis;

/// Tells an operator in one paragraph why the service does not start, in place of a stack trace,
/// where the reason is the machine or the settings. Spring makes it by its class name.
final class StartFailure extends AbstractFailureAnalyzer<MdevException> {
    @Override
    protected FailureAnalysis analyze(Throwable failure, MdevException cause) {
        String action =
                switch (cause.errno()) {
                    case EBUSY, EAGAIN ->
                            "Stop the process that uses it, or give this service another.";
                    case EINVAL -> "Correct the setting; the operator's guide lists all of them.";
                    case EACCES, EPERM, EROFS -> "Let this user read and write it.";
                    default -> "Correct what the message names, and start again.";
                };
        return new FailureAnalysis(cause.getMessage(), action, cause);
    }
}
