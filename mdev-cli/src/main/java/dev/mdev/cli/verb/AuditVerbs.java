package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;
import dev.mdev.cli.text.Column;
import dev.mdev.cli.text.Fields;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

import tools.jackson.databind.JsonNode;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// The verbs about the audit log.
final class AuditVerbs {
    private AuditVerbs() {}

    /// `audit` and the verbs below it.
    static CommandLine audit(Session session) {
        return new CommandLine(new ListRecords(session))
                .addSubcommand("list", new ListRecords(session))
                .addSubcommand(new Verify(session));
    }

    @Command(name = "audit", description = "List who did what, with which result.")
    private static final class ListRecords extends Verb {
        private static final List<Column> COLUMNS =
                List.of(
                        Column.of("NUMBER", "/number").atRight(),
                        Column.of("TIME", "/time"),
                        Column.of("CALLER", "/caller"),
                        Column.of("TENANT", "/tenant"),
                        Column.of("PHASE", "/phase"),
                        Column.of("METHOD", "/method"),
                        Column.of("PATH", "/path"),
                        Column.of("STATUS", "/status").atRight(),
                        Column.of("MADE", "/made").ifWide(),
                        Column.of("MEANS", "/means").ifWide(),
                        Column.of("ADDRESS", "/address").ifWide(),
                        Column.of("REQUEST", "/request").ifWide());

        @Option(
                names = "--after",
                paramLabel = "NUMBER",
                description = "Only records after this one.")
        private long after;

        private ListRecords(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            JsonNode answer =
                    service().list(ApiPath.of("audit").with("limit", 1000), Long.toString(after));
            session().list(answer, Fields.items(answer, "/items"), COLUMNS, "/number");
            return ExitCode.OK;
        }
    }

    @Command(
            name = "verify",
            description = {
                "Check that the audit log is as it was written, and print its newest record.",
                "With --head: also that nothing before that record was written anew."
            })
    private static final class Verify extends Verb {
        private static final Pattern HEAD = Pattern.compile("([0-9]{1,18}):([0-9a-f]{64})");

        @Option(
                names = "--head",
                paramLabel = "NUMBER:HASH",
                description = "What an earlier call printed.")
        private @Nullable String head;

        private Verify(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            Matcher noted = HEAD.matcher(head == null ? "" : head);
            if (head != null && !noted.matches()) {
                throw Failure.usage("head=%s wanted=NUMBER:HASH".formatted(head));
            }
            ApiPath path = ApiPath.of("audit", "verification");
            JsonNode answer = service().get(head == null ? path : path.with("of", noted.group(1)));
            if (!Fields.isTrue(answer, "/intact")) {
                throw new Failure(
                        ExitCode.FAILED,
                        "the audit log was changed: " + Fields.text(answer, "/trouble"));
            }
            if (head != null
                    && !noted.group(2).equals(Fields.optional(answer, "/known").orElse(""))) {
                throw new Failure(
                        ExitCode.FAILED,
                        "record %s is not the noted one: the log was written anew, or it is too old"
                                .formatted(noted.group(1)));
            }
            String newest = Fields.number(answer, "/last") + ":" + Fields.text(answer, "/head");
            session().one(answer, newest, () -> session().terminal().line(newest));
            return ExitCode.OK;
        }
    }
}
