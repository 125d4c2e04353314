package dev.mdev.host.problem;

import java.util.List;
import java.util.Objects;

/// A failure that the client caused or must know of, found by this service itself. What the core
/// finds is a [dev.mdev.api.MdevException].
public final class ProblemException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final Problem problem;
    private final transient List<Violation> violations;

    /// @param detail what happened, for people
    public ProblemException(Problem problem, String detail) {
        this(problem, detail, List.of());
    }

    /// @param violations what is wrong where
    public ProblemException(Problem problem, String detail, List<Violation> violations) {
        super(detail);
        this.problem = problem;
        this.violations = List.copyOf(violations);
    }

    /// A request that can be read and asks for something impossible.
    public static ProblemException invalid(List<Violation> violations) {
        return new ProblemException(
                Problem.INVALID,
                violations.size() == 1
                        ? violations.getFirst().detail()
                        : violations.size() + " values are not acceptable",
                violations);
    }

    /// Something that is not there.
    public static ProblemException notFound(String what) {
        return new ProblemException(Problem.NOT_FOUND, what);
    }

    public Problem problem() {
        return problem;
    }

    public List<Violation> violations() {
        return violations;
    }

    @Override
    public String getMessage() {
        return Objects.requireNonNull(super.getMessage());
    }
}
