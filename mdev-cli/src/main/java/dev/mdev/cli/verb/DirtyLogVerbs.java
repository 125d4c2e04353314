package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.text.Column;
import dev.mdev.cli.text.Fields;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

import java.util.ArrayList;
import java.util.List;

/// The verbs about the log of writes to a machine's memory.
final class DirtyLogVerbs {
    private static final int SHOWN_RUNS = 4;

    private static final List<Column> PARTS =
            List.of(
                    Column.of("MEMORY", DirtyLogVerbs::memory),
                    Column.of("PAGES", "/pages").atRight(),
                    Column.of("DIRTY", "/dirty").atRight(),
                    Column.of("WHICH", DirtyLogVerbs::runs));

    private DirtyLogVerbs() {}

    /// `dirty-log` and the verbs below it.
    static CommandLine dirtyLog(Session session) {
        return new CommandLine(new DirtyLog())
                .addSubcommand(new Set(session))
                .addSubcommand(new Show(session))
                .addSubcommand(new Clear(session));
    }

    @Command(
            name = "dirty-log",
            description = "Log the writes to a machine's memory: its guest's and its devices'.")
    private static final class DirtyLog {}

    private static ApiPath log(String machine) {
        return ApiPath.of("machines", machine, "dirty-log");
    }

    private static String memory(JsonNode part) {
        if (Fields.optional(part, "/slot").isPresent()) {
            return "slot %s/%s at %s"
                    .formatted(
                            Fields.text(part, "/addressSpace"),
                            Fields.text(part, "/slot"),
                            Fields.text(part, "/gpa"));
        }
        return Fields.optional(part, "/mdev")
                .map(mdev ->
                        "%s bar %s at %s"
                                .formatted(
                                        mdev,
                                        Fields.text(part, "/bar"),
                                        Fields.text(part, "/offset")))
                .orElse("ram");
    }

    private static String runs(JsonNode part) {
        List<String> shown = new ArrayList<>();
        for (JsonNode run : Fields.items(part, "/runs")) {
            if (shown.size() == SHOWN_RUNS) {
                shown.add("...");
                break;
            }
            long first = Fields.number(run, "/first");
            long last = first + Fields.number(run, "/count") - 1;
            shown.add(first == last ? "" + first : first + "-" + last);
        }
        return String.join(",", shown);
    }

    private static String mode(JsonNode answer) {
        String mode = Fields.text(answer, "/mode");
        if (Fields.isTrue(answer, "/initiallySet")) {
            return mode + ", initially set";
        }
        return Fields.optional(answer, "/entries")
                .map(entries -> "%s of %s entries".formatted(mode, entries))
                .orElse(mode);
    }

    private static void print(Session session, JsonNode answer) {
        session.details(
                List.of(
                        new Session.Detail("mode", mode(answer)),
                        new Session.Detail("dirty", pages(answer, "/dirty")),
                        new Session.Detail("cleared", pages(answer, "/taken")),
                        new Session.Detail(
                                "rings",
                                "%d entries harvested, full %d times"
                                        .formatted(
                                                Fields.number(answer, "/harvested"),
                                                Fields.number(answer, "/full")))));
        if (!Fields.items(answer, "/parts").isEmpty()) {
            session.terminal().line("");
            session.table(Fields.items(answer, "/parts"), PARTS);
        }
        if (Fields.isTrue(answer, "/more")) {
            session.terminal().line("there are more dirty pages than fit an answer");
        }
    }

    private static String pages(JsonNode answer, String field) {
        return "%d pages".formatted(Fields.number(answer, field));
    }

    @Command(
            name = "set",
            description = {
                "Start or stop the log of a machine.",
                "MODE is off, bitmap, manual (only named pages become clean) or ring.",
                "Rings must be set before the machine's first program."
            })
    @SuppressWarnings("NullAway.Init")
    private static final class Set extends Verb {
        @Parameters(index = "0", paramLabel = "MACHINE", description = "The machine's name.")
        private String name;

        @Parameters(index = "1", paramLabel = "MODE", description = "How to log.")
        private String mode;

        @Option(
                names = "--initially-set",
                description = "Of manual: begin with all pages dirty and none protected.")
        private boolean initiallySet;

        @Option(
                names = "--entries",
                paramLabel = "N",
                description = "Of each ring: a power of two, 256 to 65536. Default: 4096.")
        private @Nullable Integer entries;

        private Set(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            ObjectNode asked = body().put("mode", mode).put("entries", entries);
            if (initiallySet) {
                asked.put("initiallySet", true);
            }
            asked.removeIf(JsonNode::isNull);
            JsonNode answer = service().put(log(name), asked);
            session().done(answer, "dirty log of %s: %s".formatted(name, mode(answer)));
            return ExitCode.OK;
        }
    }

    @Command(name = "show", description = "Show the dirty pages of a machine; they stay dirty.")
    @SuppressWarnings("NullAway.Init")
    private static final class Show extends Verb {
        @Parameters(paramLabel = "MACHINE", description = "The machine's name.")
        private String name;

        @Option(names = "--by-memory", description = "Each page once, however many slots show it.")
        private boolean byMemory;

        private Show(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            JsonNode answer = service().get(log(name).with("by", byMemory ? "memory" : "slot"));
            session().one(answer, name, () -> print(session(), answer));
            return ExitCode.OK;
        }
    }

    @Command(
            name = "clear",
            description = {
                "Show the dirty pages of a machine, and make them clean.",
                "With --slot, make named pages of one slot clean, and show what is still dirty."
            })
    @SuppressWarnings("NullAway.Init")
    private static final class Clear extends Verb {
        @Parameters(paramLabel = "MACHINE", description = "The machine's name.")
        private String name;

        @ArgGroup(exclusive = false)
        private @Nullable Part part;

        private Clear(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            JsonNode answer =
                    service()
                            .post(
                                    ApiPath.of("machines", name, "dirty-log", "clear"),
                                    part == null ? null : part.json(body()));
            session().one(answer, name, () -> print(session(), answer));
            return ExitCode.OK;
        }
    }

    /// Pages of a slot.
    private static final class Part {
        @Option(names = "--slot", required = true, paramLabel = "ID", description = "The slot.")
        private int slot;

        @Option(
                names = "--first",
                required = true,
                paramLabel = "PAGE",
                description = "Its first page to clear: a multiple of 64.")
        private long first;

        @Option(
                names = "--pages",
                required = true,
                paramLabel = "N",
                description = "How many: a multiple of 64, or all to the slot's end.")
        private int pages;

        @Option(
                names = "--address-space",
                paramLabel = "N",
                description = "The slot's address space. Default: 0.")
        private int addressSpace;

        JsonNode json(ObjectNode body) {
            return body.put("slot", slot)
                    .put("first", first)
                    .put("pages", pages)
                    .put("addressSpace", addressSpace);
        }
    }
}
