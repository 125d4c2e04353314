package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.text.Colour;
import dev.mdev.cli.text.Column;
import dev.mdev.cli.text.Fields;

import picocli.CommandLine;
import picocli.CommandLine.Command;

import tools.jackson.databind.JsonNode;

import java.util.List;

/// The verbs about drivers.
final class DriverVerbs {
    static final Column NAME = Column.of("DRIVER", "/name");
    static final Column PARENTS =
            Column.of("PARENTS", driver -> words(Fields.items(driver, "/parents")));
    static final Column TROUBLE =
            Column.of("TROUBLE", "/trouble")
                    .in(text -> text.equals(Fields.NONE) ? Colour.PLAIN : Colour.BAD);

    private static final List<Column> COLUMNS =
            List.of(NAME, Column.of("SOURCE", "/source"), PARENTS, TROUBLE);

    private DriverVerbs() {}

    private static String words(List<JsonNode> items) {
        return items.isEmpty()
                ? Fields.NONE
                : String.join(", ", items.stream().map(JsonNode::asString).toList());
    }

    /// `drivers` and the verbs below it.
    static CommandLine drivers(Session session) {
        return new CommandLine(new ListDrivers(session))
                .addSubcommand("list", new ListDrivers(session))
                .addSubcommand(new Load(session));
    }

    @Command(name = "drivers", description = "List the drivers.")
    private static final class ListDrivers extends Verb {
        private ListDrivers(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            JsonNode answer = service().list(ApiPath.of("drivers"));
            session().list(answer, Fields.items(answer, "/items"), COLUMNS, "/name");
            return ExitCode.OK;
        }
    }

    @Command(
            name = "load",
            description = {
                "Load the jars that came into the service's plugin folder.",
                "Lists all drivers, and exits with 1 if one has a trouble."
            })
    private static final class Load extends Verb {
        private Load(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            JsonNode answer = service().post(ApiPath.of("drivers"), null);
            List<JsonNode> drivers = Fields.items(answer, "/items");
            session().list(answer, drivers, COLUMNS, "/name");
            return drivers.stream().anyMatch(it -> Fields.optional(it, "/trouble").isPresent())
                    ? ExitCode.FAILED
                    : ExitCode.OK;
        }
    }
}
