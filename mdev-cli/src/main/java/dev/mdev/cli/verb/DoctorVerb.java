package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.text.Colour;
import dev.mdev.cli.text.Column;
import dev.mdev.cli.text.Fields;

import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

import tools.jackson.databind.JsonNode;

import java.util.ArrayList;
import java.util.List;

/// What the host can do, and what is wrong with it.
@Command(name = "doctor", description = "Tell what this host can do, and what is wrong with it.")
final class DoctorVerb extends Verb {
    private static final List<Column> ENGINES =
            List.of(
                    Column.of("ENGINE", "/name"),
                    Column.of("IN USE", "/inUse"),
                    Column.of("AVAILABLE", "/available")
                            .in(word -> word.equals("yes") ? Colour.GOOD : Colour.WARNING));
    private static final List<Column> FINDINGS =
            List.of(
                    Column.of("MISSING", "/need"),
                    Column.of("FOUND", "/detail"),
                    Column.of("REMEDY", "/remedy"));
    private static final List<Column> DRIVERS =
            List.of(DriverVerbs.NAME, DriverVerbs.PARENTS, DriverVerbs.TROUBLE);

    @Option(names = "--check", description = "Exit with 1 if something is wrong.")
    private boolean check;

    DoctorVerb(Session session) {
        super(session);
    }

    @Override
    ExitCode run() {
        JsonNode answer = service().get(ApiPath.of("doctor"));
        List<String> troubles = troubles(answer);
        session().one(answer, troubles.isEmpty() ? "ok" : "trouble", () -> print(answer, troubles));
        return check && !troubles.isEmpty() ? ExitCode.FAILED : ExitCode.OK;
    }

    private void print(JsonNode answer, List<String> troubles) {
        session()
                .details(
                        List.of(
                                new Session.Detail("java", Fields.text(answer, "/java")),
                                new Session.Detail(
                                        "state directory",
                                        Fields.optional(answer, "/state/directory")
                                                .orElse("none: nothing outlives the service"))));
        session().terminal().line("");
        session().table(Fields.items(answer, "/engines"), ENGINES);
        List<JsonNode> missing =
                Fields.items(answer, "/engines").stream()
                        .flatMap(engine -> Fields.items(engine, "/findings").stream())
                        .filter(finding -> !Fields.isTrue(finding, "/met"))
                        .toList();
        if (!missing.isEmpty()) {
            session().terminal().line("");
            session().table(missing, FINDINGS);
        }
        session().terminal().line("");
        session().table(Fields.items(answer, "/drivers"), DRIVERS);
        session().terminal().line("");
        session().terminal().line(troubles.isEmpty() ? "nothing is wrong" : "trouble:");
        troubles.forEach(trouble -> session().terminal().line("  " + trouble));
    }

    private static List<String> troubles(JsonNode answer) {
        List<String> troubles = new ArrayList<>();
        for (JsonNode driver : Fields.items(answer, "/drivers")) {
            Fields.optional(driver, "/trouble")
                    .ifPresent(text ->
                            troubles.add(
                                    "driver %s: %s".formatted(Fields.text(driver, "/name"), text)));
        }
        Fields.items(answer, "/overdue")
                .forEach(call -> troubles.add("overdue: " + call.asString("")));
        Fields.items(answer, "/lost")
                .forEach(device -> troubles.add("lost: " + device.asString("")));
        for (JsonNode trouble : Fields.items(answer, "/troubles")) {
            troubles.add(
                    "%s of %s since %s: %s"
                            .formatted(
                                    Fields.text(trouble, "/kind"),
                                    Fields.text(trouble, "/mdev"),
                                    Fields.text(trouble, "/since"),
                                    Fields.text(trouble, "/detail")));
        }
        Fields.items(answer, "/missingParents")
                .forEach(name -> troubles.add("parent %s is missing".formatted(name.asString(""))));
        Fields.items(answer, "/documents")
                .forEach(what -> troubles.add("document " + what.asString("")));
        Fields.optional(answer, "/state/trouble")
                .ifPresent(text -> troubles.add("state directory: " + text));
        Fields.optional(answer, "/state/damage")
                .ifPresent(text -> troubles.add("the journal was damaged: " + text));
        for (JsonNode file : Fields.items(answer, "/state/quarantined")) {
            troubles.add(
                    "damaged definition %s: %s"
                            .formatted(Fields.text(file, "/file"), Fields.text(file, "/reason")));
        }
        return troubles;
    }
}
