package dev.mdev.host.operation;

import dev.mdev.host.access.Caller;
import dev.mdev.host.operation.OperationView.State;
import dev.mdev.host.problem.DryRunException;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;
import dev.mdev.host.web.Filter;
import dev.mdev.host.web.Items;
import dev.mdev.host.web.Paging;

import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.context.request.async.DeferredResult;

import java.time.Duration;
import java.util.List;

/// `/api/v1/operations`. A caller sees those that were begun by callers who see no more than it.
@RestController
@RequestMapping("/api/v1/operations")
class OperationController {
    private static final Duration LONGEST_WAIT = Duration.ofSeconds(60);

    private final Operations operations;

    OperationController(Operations operations) {
        this.operations = operations;
    }

    /// The operations that run, and those that have ended not long ago, the oldest first.
    @GetMapping
    Items<OperationView> list(
            @RequestParam(required = false) @Nullable State state,
            @RequestParam(required = false) @Nullable String verb,
            @RequestParam(required = false) @Nullable String target,
            @RequestParam(required = false) @Nullable String caller,
            @RequestParam(required = false) @Nullable String tenant,
            @RequestParam(defaultValue = Paging.DEFAULT_LIMIT) int limit,
            @RequestParam(required = false) @Nullable String after) {
        Caller me = Caller.current();
        return new Paging(limit, after)
                .sorted(
                        operations.all().stream()
                                .filter(it -> me.seesWorkOf(it.caller))
                                .map(Operation::view)
                                .filter(it -> Filter.fits(state, it.state()))
                                .filter(it -> Filter.fits(verb, it.verb()))
                                .filter(it -> Filter.fits(target, it.target()))
                                .filter(it -> Filter.fits(caller, it.caller()))
                                .filter(it -> Filter.fits(tenant, it.tenant())),
                        OperationView::id);
    }

    /// An operation; if it runs, and the client likes to wait, as soon as it has ended.
    @GetMapping("/{id}")
    DeferredResult<OperationView> read(
            @PathVariable String id, @RequestParam(defaultValue = "0s") Duration wait) {
        if (wait.isNegative() || wait.compareTo(LONGEST_WAIT) > 0) {
            throw ProblemException.invalid(
                    List.of(new Violation("", "wait is 0s to " + LONGEST_WAIT.toSeconds() + "s")));
        }
        Operation operation = find(id);
        // No time at all would be no limit.
        long millis = Math.max(1, wait.toMillis());
        DeferredResult<OperationView> answer = new DeferredResult<>(millis, operation::view);
        if (wait.isZero() || operations.isStopping()) {
            answer.setResult(operation.view());
            return answer;
        }
        Runnable tell = () -> answer.setResult(operation.view());
        answer.onCompletion(() -> operation.forget(tell));
        operation.whenEnded(tell);
        return answer;
    }

    /// Ends an operation early.
    @DeleteMapping("/{id}")
    ResponseEntity<OperationView> cancel(
            @PathVariable String id, @RequestParam(defaultValue = "false") boolean dryRun) {
        Operation operation = find(id);
        Caller me = Caller.current();
        if (!me.mayEndWorkOf(operation.caller)) {
            throw new ProblemException(
                    Problem.DENIED,
                    "operation=%s was begun by a caller with role=%s"
                            .formatted(id, operation.caller.role().word()));
        }
        if (dryRun) {
            operation.requireCancellable();
            throw new DryRunException();
        }
        operation.cancel(Operation.EndedEarly.by(me.name()));
        return ResponseEntity.accepted().body(operation.view());
    }

    private Operation find(String id) {
        Operation found = operations.find(id);
        if (!Caller.current().seesWorkOf(found.caller)) {
            throw ProblemException.notFound("there is no operation=" + id);
        }
        return found;
    }
}
