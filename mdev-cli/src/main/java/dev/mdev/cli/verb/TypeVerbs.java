package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;
import dev.mdev.cli.text.Column;
import dev.mdev.cli.text.Fields;
import dev.mdev.cli.text.JsonText;
import dev.mdev.cli.text.Units;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/// The verbs about types and what fits.
final class TypeVerbs {
    /// The columns of a parent's types.
    static final List<Column> COLUMNS =
            List.of(
                    Column.of("TYPE", "/id"),
                    Column.of("AVAILABLE", "/availableInstances").atRight(),
                    Column.of("MAX", "/maxInstances").atRight(),
                    Column.of("TAKES", TypeVerbs::demands),
                    Column.of("API", "/deviceApi").ifWide(),
                    Column.of("NAME", "/name").ifWide(),
                    Column.of("WHY NONE", "/refusal").ifWide());

    private TypeVerbs() {}

    private static String demands(JsonNode type) {
        return Fields.items(type, "/demands").stream()
                .map(demand ->
                        "%s: %s"
                                .formatted(
                                        Fields.text(demand, "/pool"),
                                        Units.pages(Fields.number(demand, "/npages"))))
                .collect(Collectors.joining(", "));
    }

    @Command(name = "types", description = "List the types of devices, and how many more fit.")
    static final class Types extends Verb {
        @Parameters(
                paramLabel = "PARENT",
                arity = "0..1",
                description = "Only the types of this parent.")
        private @Nullable String name;

        @Option(
                names = {"-p", "--parent"},
                paramLabel = "PARENT",
                description = "The same, as with mdevctl.")
        private @Nullable String parent;

        @Option(names = "--dumpjson", description = "Print what mdevctl types --dumpjson prints.")
        private boolean dump;

        Types(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            @Nullable String only = name != null ? name : parent;
            List<JsonNode> parents =
                    only != null
                            ? List.of(service().get(parent(only)))
                            : Fields.items(service().list(ApiPath.of("parents")), "/items");
            if (dump) {
                session().terminal().safeLine(JsonText.pretty(dumpOf(parents)));
                return ExitCode.OK;
            }
            List<JsonNode> types = new ArrayList<>();
            ArrayNode items = body().arrayNode();
            for (JsonNode one : parents) {
                for (JsonNode type : Fields.items(one, "/types")) {
                    ObjectNode row = body().put("parent", Fields.text(one, "/name"));
                    type.properties().forEach(field -> row.set(field.getKey(), field.getValue()));
                    types.add(row);
                    items.add(row);
                }
            }
            List<Column> columns = new ArrayList<>(COLUMNS);
            columns.add(0, Column.of("PARENT", "/parent"));
            session().list(body().set("items", items), types, columns, "/id");
            return ExitCode.OK;
        }

        private static ArrayNode dumpOf(List<JsonNode> parents) {
            ObjectNode byParent = body();
            for (JsonNode one : parents) {
                ArrayNode types = body().arrayNode();
                for (JsonNode type : Fields.items(one, "/types")) {
                    ObjectNode facts =
                            body().put(
                                            "available_instances",
                                            Fields.number(type, "/availableInstances"))
                                    .put("device_api", Fields.text(type, "/deviceApi"))
                                    .put("name", Fields.text(type, "/name"));
                    Fields.optional(type, "/description")
                            .ifPresent(text -> facts.put("description", text));
                    types.add(body().set(Fields.text(type, "/id"), facts));
                }
                byParent.set(Fields.text(one, "/name"), types);
            }
            return MdevctlJson.list(byParent);
        }
    }

    @Command(
            name = "explain",
            description = "Tell whether one more device of a type fits, and why not.")
    @SuppressWarnings("NullAway.Init")
    static final class Explain extends Verb {
        private static final List<Column> BLOCKERS =
                List.of(
                        Column.of("IN THE WAY", "/mdev"),
                        Column.of("PAGES", "/pages").atRight(),
                        Column.of("REASON", "/reason"),
                        Column.of("DETAIL", "/detail"));
        private static final List<Column> GIVERS =
                List.of(
                        Column.of("GIVES BACK", "/mdev"),
                        Column.of("POOL", "/pool"),
                        Column.of("PAGES", "/pages").atRight());
        private static final List<Column> MOVES =
                List.of(
                        Column.of("MOVE", "/mdev"),
                        Column.of("POOL", "/pool"),
                        Column.of("PAGES", "/pages").atRight(),
                        Column.of("PIECES BEFORE", "/fromExtents").atRight(),
                        Column.of("AFTER", "/toExtents").atRight());

        @Parameters(index = "0", paramLabel = "PARENT", description = "The parent's name.")
        private String name;

        @Parameters(index = "1", paramLabel = "TYPE", description = "The type's id.")
        private String type;

        Explain(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            JsonNode answer = service().get(parent(name, "types", type, "explain"));
            session().one(answer, type, () -> print(session(), answer));
            return ExitCode.OK;
        }

        static void print(Session session, JsonNode answer) {
            session.terminal().line(Fields.text(answer, "/text"));
            for (JsonNode shortage : Fields.items(answer, "/shortages")) {
                if (!Fields.items(shortage, "/blockers").isEmpty()) {
                    session.terminal().line("");
                    session.table(Fields.items(shortage, "/blockers"), BLOCKERS);
                }
            }
            if (!Fields.items(answer, "/givers").isEmpty()) {
                session.terminal().line("");
                session.table(Fields.items(answer, "/givers"), GIVERS);
            }
            if (Fields.optional(answer, "/plan/id").isPresent()) {
                session.terminal().line("");
                session.table(Fields.items(answer, "/plan/moves"), MOVES);
                session.terminal().line("");
                session.terminal().line("plan " + Fields.text(answer, "/plan/id"));
            }
        }
    }

    @Command(
            name = "defragment",
            description = {
                "Move idle devices so that one more device of a type fits.",
                "explain shows the moves before."
            })
    @SuppressWarnings("NullAway.Init")
    static final class Defragment extends Verb {
        @Parameters(index = "0", paramLabel = "PARENT", description = "The parent's name.")
        private String name;

        @Parameters(index = "1", paramLabel = "TYPE", description = "The type's id.")
        private String type;

        @Option(
                names = "--plan",
                paramLabel = "ID",
                description = "Only this plan of explain. Default: the plan of the moment.")
        private @Nullable String plan;

        Defragment(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            JsonNode before = service().get(parent(name, "types", type, "explain"));
            if (plan == null && Fields.isTrue(before, "/fits")) {
                session().done(before, Fields.text(before, "/text"));
                return ExitCode.OK;
            }
            String id =
                    plan != null
                            ? plan
                            : Fields.optional(before, "/plan/id")
                                    .orElseThrow(() ->
                                            new Failure(
                                                    ExitCode.CONFLICT,
                                                    "no moves make room: "
                                                            + Fields.text(before, "/text")));
            JsonNode after =
                    service()
                            .post(
                                    parent(name, "types", type, "defragment"),
                                    body().put("plan", id));
            session().done(after, Fields.text(after, "/text"));
            return ExitCode.OK;
        }
    }
}
