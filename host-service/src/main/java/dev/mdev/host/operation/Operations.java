package dev.mdev.host.operation;

import dev.mdev.api.MdevException;
import dev.mdev.core.sync.CancelledException;
import dev.mdev.core.sync.LongWork;
import dev.mdev.host.access.AuditTrail;
import dev.mdev.host.access.Caller;
import dev.mdev.host.access.Undertakings;
import dev.mdev.host.event.Event;
import dev.mdev.host.event.EventLog;
import dev.mdev.host.operation.OperationView.State;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Problems;
import dev.mdev.host.web.AcceptedException;
import dev.mdev.host.web.LongCalls;

import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.MDC;
import org.springframework.context.SmartLifecycle;
import org.springframework.http.ProblemDetail;
import org.springframework.http.ResponseEntity;
import org.springframework.security.core.context.SecurityContext;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.stereotype.Component;

import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.LongAdder;

/// The long work of this service: that of operations, and that of calls whose clients wait.
///
/// Operations live as long as the process. After a crash, the records of the bus say what their
/// work had done, and complete or undo it.
///
/// Any thread may call all methods.
@Component
public final class Operations implements LongCalls, Undertakings, SmartLifecycle {
    private static final Logger log = LoggerFactory.getLogger(Operations.class);
    private static final String ROOT = "/api/v1/";
    private static final String LIST = "operations/";

    /// The longest result that is kept, in bytes of JSON.
    private static final int MAX_RESULT_BYTES = 1 << 20;

    private static final int MAX_TARGET = 256;

    /// How long a stop waits for the work that it ends.
    private static final Duration STOP = Duration.ofSeconds(1);

    private final KeptOperations kept;
    private final EventLog events;
    private final AuditTrail audit;
    private final JsonMapper json;

    /// The work of the calls whose clients wait.
    private final Set<LongWork> attended = ConcurrentHashMap.newKeySet();

    private final Map<State, LongAdder> ends = new ConcurrentHashMap<>();
    private volatile boolean running;
    private volatile boolean stopping;

    Operations(OperationProperties properties, EventLog events, AuditTrail audit, JsonMapper json) {
        this.kept = new KeptOperations(properties, System::nanoTime);
        this.events = events;
        this.audit = audit;
        this.json = json;
        for (State state : State.values()) {
            ends.put(state, new LongAdder());
        }
    }

    @Override
    public @Nullable Object perform(Callable<@Nullable Object> work) throws Exception {
        LongWork mine = new LongWork();
        attended.add(mine);
        try {
            if (stopping) {
                throw stopped();
            }
            return mine.call(work::call);
        } catch (CancelledException _) {
            throw stopped();
        } finally {
            attended.remove(mine);
        }
    }

    static ProblemException stopped() {
        return new ProblemException(Problem.UNAVAILABLE, "the service is being stopped");
    }

    @Override
    public @Nullable Object begin(Asked asked, Callable<@Nullable Object> work) throws Exception {
        Operation operation = register(asked);
        FutureTask<@Nullable Object> task = new FutureTask<>(() -> operation.work.call(work::call));
        start(operation, task);
        try {
            if (!operation.awaitEnd(asked.patience())) {
                throw new AcceptedException(operation.view(), pathOf(operation));
            }
            return task.get();
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
            throw stopped();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof CancelledException) {
                throw operation.endedEarly().problem();
            }
            if (e.getCause() instanceof Exception cause) {
                throw cause;
            }
            throw e;
        }
    }

    private Operation register(Asked asked) {
        try {
            if (stopping) {
                throw stopped();
            }
            return kept.begin(
                    cut(asked), Caller.current(), String.valueOf(MDC.get(Problems.REQUEST_ID)));
        } catch (RuntimeException | Error e) {
            asked.whenEnded().run();
            throw e;
        }
    }

    /// The name of a thing that does not exist may be long.
    private static Asked cut(Asked asked) {
        return new Asked(
                asked.verb(),
                cut(asked.target()),
                asked.method(),
                cut(asked.path()),
                asked.status(),
                asked.patience(),
                asked.whenEnded());
    }

    private static String cut(String text) {
        return text.length() > MAX_TARGET ? text.substring(0, MAX_TARGET) : text;
    }

    private static String pathOf(Operation operation) {
        return ROOT + LIST + operation.id;
    }

    /// The thread is a platform thread: see the threads of requests.
    private void start(Operation operation, FutureTask<@Nullable Object> task) {
        Map<String, String> logged = MDC.getCopyOfContextMap();
        SecurityContext caller = SecurityContextHolder.getContext();
        Runnable body =
                () -> {
                    MDC.setContextMap(logged);
                    SecurityContextHolder.setContext(caller);
                    try {
                        tell(operation, Event.Kind.OPERATION_STARTED, "");
                        task.run();
                    } finally {
                        end(operation, task);
                        SecurityContextHolder.clearContext();
                        MDC.clear();
                    }
                };
        try {
            var _ = Thread.ofPlatform().daemon().name("operation-" + operation.id).start(body);
        } catch (Error e) {
            kept.drop(operation);
            operation.asked.whenEnded().run();
            throw e;
        }
        if (stopping) {
            cancelForStop(operation);
        }
    }

    private void tell(Operation operation, Event.Kind kind, String more) {
        events.add(
                kind,
                LIST + operation.id,
                "verb=%s target=%s%s"
                        .formatted(operation.asked.verb(), operation.asked.target(), more));
    }

    private void end(Operation operation, FutureTask<@Nullable Object> task) {
        Operation.Ended how = outcomeOf(operation, task);
        ends.computeIfAbsent(how.state(), _ -> new LongAdder()).increment();
        try {
            record(operation, how);
        } finally {
            // Also if no record can be written: the operation has ended, and its place is free.
            operation.asked.whenEnded().run();
            kept.ended(operation, how);
        }
    }

    private void record(Operation operation, Operation.Ended how) {
        tell(
                operation,
                Event.Kind.OPERATION_ENDED,
                " state=%s status=%d"
                        .formatted(how.state().name().toLowerCase(Locale.ROOT), how.status()));
        audit.ended(
                new AuditTrail.Call(
                        operation.asked.method(),
                        operation.asked.path().substring(ROOT.length()),
                        LIST + operation.id),
                how.status());
    }

    private Operation.Ended outcomeOf(Operation operation, FutureTask<@Nullable Object> task) {
        try {
            return done(operation, task.get());
        } catch (ExecutionException e) {
            return refused(operation, e.getCause());
        } catch (JacksonException e) {
            return refused(operation, e);
        } catch (InterruptedException e) {
            throw new IllegalStateException("the work of " + operation.id + " has not ended", e);
        }
    }

    private Operation.Ended done(Operation operation, @Nullable Object returned) {
        Object body = returned;
        int status = operation.asked.status();
        if (returned instanceof ResponseEntity<?> answer) {
            body = answer.getBody();
            status = answer.getStatusCode().value();
        }
        int bytes = body == null ? 0 : json.writeValueAsBytes(body).length;
        if (bytes > MAX_RESULT_BYTES) {
            body = null;
            bytes = 0;
        }
        return ended(State.DONE, status, body, bytes, null);
    }

    private static Operation.Ended ended(
            State state,
            int status,
            @Nullable Object body,
            int bytes,
            @Nullable ProblemDetail problem) {
        return new Operation.Ended(state, Instant.now(), status, body, bytes, problem);
    }

    private static Operation.Ended refused(Operation operation, @Nullable Throwable cause) {
        return switch (cause) {
            case CancelledException _ -> {
                Operation.EndedEarly early = operation.endedEarly();
                yield refused(early.state(), Problems.of(early.problem()));
            }
            case MdevException e -> refused(State.FAILED, Problems.of(e));
            case ProblemException e -> refused(State.FAILED, Problems.of(e));
            case null, default -> {
                log.error("an operation hit a bug in this service", cause);
                yield refused(State.FAILED, Problems.ofBug());
            }
        };
    }

    private static Operation.Ended refused(State state, ProblemDetail problem) {
        return ended(state, problem.getStatus(), null, 0, problem);
    }

    /// All operations, also those that have ended not long ago.
    List<Operation> all() {
        return kept.all();
    }

    /// An operation by its id.
    ///
    /// @throws ProblemException if there is none, or none any more
    Operation find(String id) {
        return kept.find(id)
                .orElseThrow(() ->
                        ProblemException.notFound(
                                kept.isOfAnotherLife(id)
                                        ? "operation=%s is of another life of this service: its work was completed or undone"
                                                .formatted(id)
                                        : "there is no operation=" + id));
    }

    @Override
    public Optional<Caller> startedBy(String id) {
        return kept.find(id).map(it -> it.caller);
    }

    /// The number of operations that run.
    public long runningCount() {
        return kept.all().stream().filter(it -> !it.state().isEnd()).count();
    }

    /// How many ended, by the word of their state.
    public Map<String, Long> endedCounts() {
        Map<String, Long> counts = new TreeMap<>();
        ends.forEach((state, count) -> {
            if (state.isEnd()) {
                counts.put(state.name().toLowerCase(Locale.ROOT), count.sum());
            }
        });
        return counts;
    }

    boolean isStopping() {
        return stopping;
    }

    /// Also after a stop: a context that is paused goes on.
    @Override
    public void start() {
        stopping = false;
        running = true;
    }

    /// Ends the waits of all long work, and waits for its end, before the web server waits for the
    /// answers. What cannot be ended early goes on until the bus is closed.
    @Override
    public void stop() {
        running = false;
        stopping = true;
        attended.forEach(LongWork::cancel);
        List<Operation> left = kept.all().stream().filter(it -> !it.state().isEnd()).toList();
        left.forEach(Operations::cancelForStop);
        long end = System.nanoTime() + STOP.toNanos();
        try {
            for (Operation operation : left) {
                var _ = operation.awaitEnd(Duration.ofNanos(end - System.nanoTime()));
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
        left.forEach(Operation::letGo);
    }

    private static void cancelForStop(Operation operation) {
        try {
            operation.cancel(Operation.EndedEarly.byStop());
        } catch (ProblemException e) {
            log.info("operation={} goes on: {}", operation.id, e.getMessage());
        }
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    /// The last to start and the first to stop: before the web server.
    @Override
    public int getPhase() {
        return Integer.MAX_VALUE;
    }
}
