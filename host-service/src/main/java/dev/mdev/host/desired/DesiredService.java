package dev.mdev.host.desired;

import dev.mdev.core.sync.LongWork;
import dev.mdev.host.access.AuditTrail;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.stereotype.Service;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.stream.Collectors;

/// Makes what is as it should be.
///
/// Any thread may call all methods. One document is applied at a time.
@Service
class DesiredService {
    private static final Logger log = LoggerFactory.getLogger(DesiredService.class);
    private static final int SUCCESS = 200;

    /// The maximum number of differences in a text.
    private static final int SHOWN = 10;

    private final Function<DesiredState, List<Planned>> planner;
    private final AuditTrail audit;

    /// Held while a document is applied; verbs take their own locks under it.
    private final ReentrantLock applying = new ReentrantLock();

    @Autowired
    DesiredService(DesiredPlanner planner, AuditTrail audit) {
        this(planner::plan, audit);
    }

    DesiredService(Function<DesiredState, List<Planned>> planner, AuditTrail audit) {
        this.planner = planner;
        this.audit = audit;
    }

    /// The differences.
    ///
    /// @throws ProblemException if the document is invalid
    PlanReport plan(DesiredState wanted) {
        wanted.requireSense();
        List<Step> steps = planner.apply(wanted).stream().map(Planned::step).toList();
        return new PlanReport(steps.isEmpty(), steps);
    }

    /// What is different, in words, if anything is.
    ///
    /// @throws ProblemException if the document is invalid
    Optional<String> difference(DesiredState wanted) {
        List<Step> steps = plan(wanted).steps();
        if (steps.isEmpty()) {
            return Optional.empty();
        }
        String first =
                steps.stream().limit(SHOWN).map(Step::words).collect(Collectors.joining("; "));
        return Optional.of("differences=%d: %s".formatted(steps.size(), first));
    }

    /// Refuses a host that is not as it should be.
    ///
    /// @throws ProblemException if so, with the differences
    void requireMet(DesiredState wanted) {
        difference(wanted)
                .ifPresent(what -> {
                    throw new ProblemException(Problem.WRONG_STATE, what);
                });
    }

    /// Does each step, also after one that failed.
    ///
    /// @throws ProblemException if the document is invalid, or another is being applied
    ApplyReport apply(DesiredState wanted) {
        wanted.requireSense();
        if (!applying.tryLock()) {
            throw new ProblemException(Problem.UNAVAILABLE, "another document is being applied");
        }
        try {
            List<ApplyReport.Done> done = new ArrayList<>();
            List<Planned> steps = planner.apply(wanted);
            LongWork whole = LongWork.current();
            whole.begin("steps", steps.size());
            for (Planned planned : steps) {
                if (done.size() + 1 == steps.size()) {
                    whole.noReturn("the last step is being done");
                }
                whole.requireGoingOn();
                whole.doing(planned.step().words());
                // A step that cannot be ended early does not bind those after it.
                done.add(new LongWork().call(() -> work(planned)));
                whole.add(1);
            }
            return new ApplyReport(planner.apply(wanted).isEmpty(), done);
        } finally {
            applying.unlock();
        }
    }

    private ApplyReport.Done work(Planned planned) {
        return switch (planned) {
            case Planned.Conflict it -> ApplyReport.Done.refused(it.step(), it.why());
            case Planned.Work it ->
                    audited(it)
                            .map(why -> ApplyReport.Done.refused(it.step(), why))
                            .orElseGet(() -> ApplyReport.Done.of(it.step()));
        };
    }

    private Optional<Refusal> audited(Planned.Work step) {
        Optional<Refusal> unrecorded = Refusal.of(() -> audit.asked(step.call()));
        if (unrecorded.isPresent()) {
            return unrecorded;
        }
        Optional<Refusal> refusal = Refusal.of(step.work());
        refusal.filter(why -> why.problem().status().is5xxServerError())
                .ifPresent(why -> log.warn("{} failed: {}", step.step().words(), why.reason()));
        audit.done(step.call(), refusal.map(why -> why.problem().status().value()).orElse(SUCCESS));
        return refusal;
    }
}
