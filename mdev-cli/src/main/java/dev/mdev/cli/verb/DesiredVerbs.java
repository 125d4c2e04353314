package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;
import dev.mdev.cli.text.Colour;
import dev.mdev.cli.text.Column;
import dev.mdev.cli.text.Fields;

import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

import tools.jackson.databind.JsonNode;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/// The verbs on documents of what should be.
final class DesiredVerbs {
    /// As much as the service takes by default.
    private static final int MAX_BYTES = 1 << 20;

    private static final String JSON = "application/json";
    private static final String YAML = "application/yaml";
    private static final String CONFLICT = "conflict";
    private static final String NOTHING = "all is as it should be";

    private static final List<Column> STEPS =
            List.of(
                    Column.of("ACTION", "/action")
                            .in(word -> word.equals(CONFLICT) ? Colour.BAD : Colour.PLAIN),
                    Column.of("SUBJECT", "/subject"),
                    Column.of("DETAIL", "/detail"));
    private static final List<Column> DONE =
            Stream.concat(
                            STEPS.stream(),
                            Stream.of(
                                    Column.of("DONE", "/done")
                                            .in(word ->
                                                    word.equals("yes") ? Colour.GOOD : Colour.BAD),
                                    Column.of("REASON", "/reason")))
                    .toList();

    private DesiredVerbs() {}

    /// What the verbs share.
    @SuppressWarnings("NullAway.Init")
    abstract static class DesiredVerb extends Verb {
        @Parameters(
                paramLabel = "FILE",
                description =
                        "The document: JSON if its name ends with .json, else YAML; - for YAML on"
                                + " the standard input.")
        private String file;

        DesiredVerb(Session session) {
            super(session);
        }

        /// Shows the steps, of which none is done.
        final ExitCode plan() {
            JsonNode plan = send("POST", ApiPath.of("desired", "plan"));
            print(plan, STEPS);
            boolean conflicts =
                    Fields.items(plan, "/steps").stream()
                            .anyMatch(step -> Fields.text(step, "/action").equals(CONFLICT));
            return conflicts ? ExitCode.CONFLICT : ExitCode.OK;
        }

        final JsonNode send(String method, ApiPath path) {
            return service().send(method, path, file.endsWith(".json") ? JSON : YAML, content());
        }

        private byte[] content() {
            try (InputStream in =
                    file.equals("-")
                            ? session().terminal().in()
                            : Files.newInputStream(Path.of(file))) {
                byte[] content = in.readNBytes(MAX_BYTES + 1);
                if (content.length > MAX_BYTES) {
                    throw Failure.usage(
                            "file=%s has more than %d bytes".formatted(file, MAX_BYTES));
                }
                return content;
            } catch (IOException e) {
                throw new Failure(ExitCode.FAILED, "cannot read file=%s".formatted(file));
            }
        }

        final void print(JsonNode answer, List<Column> columns) {
            List<JsonNode> steps = Fields.items(answer, "/steps");
            session()
                    .one(
                            answer,
                            Fields.isTrue(answer, "/met") ? "met" : "different",
                            () -> {
                                if (steps.isEmpty()) {
                                    session().say(NOTHING);
                                } else {
                                    session().table(steps, columns);
                                }
                            });
        }
    }

    @Command(
            name = "apply",
            description = {
                "Make devices, definitions and machines as a document says.",
                "What is as it should be stays, so that the verb can be repeated. Exits with 4 if"
                        + " something is different afterwards."
            })
    static final class Apply extends DesiredVerb {
        @Mixin private DryRun dryRun = new DryRun();

        Apply(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            if (dryRun.isAsked()) {
                return plan();
            }
            JsonNode answer = send("PUT", ApiPath.of("desired"));
            print(answer, DONE);
            return Fields.isTrue(answer, "/met") ? ExitCode.OK : ExitCode.CONFLICT;
        }
    }

    @Command(
            name = "plan",
            description = {
                "Show the steps that apply would take; change nothing.",
                "Exits with 4 if one is a conflict, which apply leaves."
            })
    static final class Plan extends DesiredVerb {
        Plan(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            return plan();
        }
    }

    @Command(
            name = "assert",
            description = "Exit with 4 unless all is as a document says; change nothing.")
    static final class Assert extends DesiredVerb {
        Assert(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            session().done(send("POST", ApiPath.of("desired", "assert")), NOTHING);
            return ExitCode.OK;
        }
    }
}
