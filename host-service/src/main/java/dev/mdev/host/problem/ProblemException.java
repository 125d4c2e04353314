package dev.mdev.host.problem;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Objects;
import java.util.Optional;

/// A failure that the client caused or must know of, found by this service itself. The core's
/// failures are [dev.mdev.api.MdevException]s.
public final class ProblemException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final Problem problem;
    private final transient List<Violation> violations;
    private final @Nullable Errno errno;

    /// @param detail what happened, for people
    public ProblemException(Problem problem, String detail) {
        this(problem, detail, List.of());
    }

    /// @param violations the invalid parts of the request
    public ProblemException(Problem problem, String detail, List<Violation> violations) {
        super(detail);
        this.problem = problem;
        this.violations = List.copyOf(violations);
        this.errno = null;
    }

    private ProblemException(Problem problem, MdevException cause) {
        super(cause.getMessage(), cause);
        this.problem = problem;
        this.violations = List.of();
        this.errno = cause.errno();
    }

    /// A request that is readable but invalid.
    public static ProblemException invalid(List<Violation> violations) {
        return new ProblemException(
                Problem.INVALID,
                violations.size() == 1
                        ? violations.getFirst().detail()
                        : violations.size() + " values are not acceptable",
                violations);
    }

    /// A request that the object's state does not allow, although the core's error number alone
    /// suggests otherwise.
    public static ProblemException wrongState(MdevException e) {
        return new ProblemException(Problem.WRONG_STATE, e);
    }

    /// A missing object.
    public static ProblemException notFound(String what) {
        return new ProblemException(Problem.NOT_FOUND, what);
    }

    public Problem problem() {
        return problem;
    }

    public List<Violation> violations() {
        return violations;
    }

    /// The error number, if the core or a driver gave one.
    Optional<Errno> errno() {
        return Optional.ofNullable(errno);
    }

    @Override
    public String getMessage() {
        return Objects.requireNonNull(super.getMessage());
    }
}
