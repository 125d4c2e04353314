package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.text.Colour;
import dev.mdev.cli.text.Column;
import dev.mdev.cli.text.Fields;
import dev.mdev.cli.text.Units;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

import tools.jackson.databind.JsonNode;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/// The verbs about the work that goes on in the service.
final class OperationVerbs {
    /// How long the service waits in one call, between two looks at the progress.
    private static final Duration LOOK = Duration.ofSeconds(2);

    private static final Set<String> GOING_ON = Set.of("running", "cancelling");
    private static final String DONE = "done";

    private OperationVerbs() {}

    /// `operations` and the verbs below it.
    static CommandLine operations(Session session) {
        return new CommandLine(new ListOperations(session))
                .addSubcommand("list", new ListOperations(session))
                .addSubcommand(new ShowOperation(session))
                .addSubcommand(new WaitForOperation(session))
                .addSubcommand(new CancelOperation(session));
    }

    private static String progress(JsonNode operation) {
        return Fields.optional(operation, "/progress/total")
                .map(total ->
                        "%s of %s %s"
                                .formatted(
                                        Fields.text(operation, "/progress/done"),
                                        total,
                                        Fields.text(operation, "/progress/unit")))
                .orElse(Fields.NONE);
    }

    private static Column state() {
        return Column.of("STATE", "/state")
                .in(text ->
                        switch (text) {
                            case "failed", "interrupted" -> Colour.BAD;
                            default -> Colour.PLAIN;
                        });
    }

    @Command(
            name = "operations",
            description = "List the work that goes on in the service, or ended not long ago.")
    private static final class ListOperations extends Verb {
        private static final List<Column> COLUMNS =
                List.of(
                        Column.of("ID", "/id"),
                        Column.of("VERB", "/verb"),
                        Column.of("TARGET", "/target"),
                        state(),
                        Column.of("PROGRESS", OperationVerbs::progress),
                        Column.of("STARTED", "/started"),
                        Column.of("ENDED", "/ended").ifWide(),
                        Column.of("CALLER", "/caller").ifWide(),
                        Column.of("TENANT", "/tenant").ifWide());

        private ListOperations(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            JsonNode answer = service().list(ApiPath.of("operations"));
            session().list(answer, Fields.items(answer, "/items"), COLUMNS, "/id");
            return ExitCode.OK;
        }
    }

    /// An operation, with what became of it.
    private static void print(Session session, JsonNode operation) {
        session.one(
                operation,
                Fields.text(operation, "/id"),
                () -> {
                    List<Session.Detail> details = new ArrayList<>();
                    for (String name :
                            List.of(
                                    "id", "verb", "target", "state", "caller", "tenant",
                                    "started")) {
                        add(details, operation, name, "/" + name);
                    }
                    add(details, operation, "ended", "/ended");
                    add(details, operation, "doing", "/doing");
                    if (operation.has("progress")) {
                        details.add(new Session.Detail("progress", progress(operation)));
                    }
                    add(details, operation, "status", "/status");
                    add(details, operation, "code", "/problem/code");
                    add(details, operation, "reason", "/problem/detail");
                    session.details(details);
                });
    }

    private static void add(
            List<Session.Detail> details, JsonNode operation, String label, String pointer) {
        Fields.optional(operation, pointer)
                .ifPresent(text -> details.add(new Session.Detail(label, text)));
    }

    @Command(name = "show", description = "Show one operation.")
    @SuppressWarnings("NullAway.Init")
    private static final class ShowOperation extends Verb {
        @Parameters(paramLabel = "ID", description = "The operation; mdev operations lists them.")
        private String id;

        private ShowOperation(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            print(session(), service().get(ApiPath.of("operations", id)));
            return ExitCode.OK;
        }
    }

    @Command(
            name = "wait",
            description = {
                "Wait for the end of an operation, and show it.",
                "Exits with 1 if it ended in another way than done, and with 4 if it goes on."
            })
    @SuppressWarnings("NullAway.Init")
    private static final class WaitForOperation extends Verb {
        @Parameters(paramLabel = "ID", description = "The operation; mdev operations lists them.")
        private String id;

        @Option(
                names = "--for",
                paramLabel = "TIME",
                description = "How long to wait. Default: until its end.")
        private @Nullable String time;

        private WaitForOperation(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            Duration limit = time == null ? null : Session.duration("for", time);
            long start = System.nanoTime();
            JsonNode operation;
            try (Progress progress = session().progress()) {
                while (true) {
                    Duration left =
                            limit == null ? LOOK : limit.minusNanos(System.nanoTime() - start);
                    Duration look = left.compareTo(LOOK) < 0 ? left : LOOK;
                    Duration wait = look.isNegative() ? Duration.ZERO : look;
                    operation =
                            service()
                                    .call(
                                            "GET",
                                            ApiPath.of("operations", id)
                                                    .with("wait", Units.text(wait)),
                                            null,
                                            wait);
                    if (!GOING_ON.contains(Fields.text(operation, "/state"))
                            || !left.isPositive()) {
                        break;
                    }
                    progress.tell(words(operation));
                }
            }
            print(session(), operation);
            String state = Fields.text(operation, "/state");
            if (GOING_ON.contains(state)) {
                return ExitCode.CONFLICT;
            }
            return state.equals(DONE) ? ExitCode.OK : ExitCode.FAILED;
        }

        private static String words(JsonNode operation) {
            String doing = Fields.optional(operation, "/doing").orElse("");
            return operation.has("progress")
                    ? "%s: %s".formatted(doing, progress(operation))
                    : doing;
        }
    }

    @Command(name = "cancel", description = "End an operation early, if it can be.")
    @SuppressWarnings("NullAway.Init")
    private static final class CancelOperation extends Verb {
        @Parameters(paramLabel = "ID", description = "The operation; mdev operations lists them.")
        private String id;

        private CancelOperation(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            session()
                    .done(
                            service().delete(ApiPath.of("operations", id)),
                            "cancelling operation " + id);
            return ExitCode.OK;
        }
    }
}
