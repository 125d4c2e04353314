package dev.mdev.host.desired;

import dev.mdev.api.MdevException;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import java.util.Optional;

/// What refused a step, as an error would say it.
record Refusal(Problem problem, String reason) {
    /// Works; what refused that, if anything did.
    static Optional<Refusal> of(Runnable work) {
        try {
            work.run();
            return Optional.empty();
        } catch (MdevException e) {
            return Optional.of(new Refusal(Problem.of(e), e.getMessage()));
        } catch (ProblemException e) {
            return Optional.of(new Refusal(e.problem(), e.getMessage()));
        }
    }
}
