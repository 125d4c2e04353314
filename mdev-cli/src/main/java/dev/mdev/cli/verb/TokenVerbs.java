package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.text.Column;
import dev.mdev.cli.text.Fields;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

import java.time.Instant;
import java.util.List;
import java.util.stream.Collectors;

/// The verbs about tokens.
final class TokenVerbs {
    private TokenVerbs() {}

    /// `tokens` and the verbs below it.
    static CommandLine tokens(Session session) {
        return new CommandLine(new ListTokens(session))
                .addSubcommand("list", new ListTokens(session))
                .addSubcommand(new CreateToken(session))
                .addSubcommand(new RevokeToken(session));
    }

    private static String names(JsonNode token, String pointer) {
        String names =
                Fields.items(token, pointer).stream()
                        .map(JsonNode::asString)
                        .collect(Collectors.joining(","));
        return names.isEmpty() ? "all" : names;
    }

    @Command(name = "tokens", description = "List the tokens, without their secrets.")
    private static final class ListTokens extends Verb {
        private static final List<Column> COLUMNS =
                List.of(
                        Column.of("ID", "/id"),
                        Column.of("NAME", "/name"),
                        Column.of("ROLE", "/role"),
                        Column.of("TENANT", "/tenant"),
                        Column.of("PARENTS", token -> names(token, "/parents")),
                        Column.of("MACHINES", token -> names(token, "/machines")),
                        Column.of("EXPIRES", "/expires"));

        private ListTokens(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            JsonNode answer = service().list(ApiPath.of("tokens"));
            session().list(answer, Fields.items(answer, "/items"), COLUMNS, "/id");
            return ExitCode.OK;
        }
    }

    @Command(name = "create", description = "Make a token and print it. Nothing shows it again.")
    @SuppressWarnings("NullAway.Init")
    private static final class CreateToken extends Verb {
        @Parameters(paramLabel = "NAME", description = "Whom it is for.")
        private String name;

        @Option(
                names = "--role",
                paramLabel = "ROLE",
                required = true,
                description = "viewer, operator or admin.")
        private String role;

        @Option(
                names = "--tenant",
                paramLabel = "TENANT",
                description = "Sees and makes only this tenant's devices and machines.")
        private @Nullable String tenant;

        @Option(
                names = "--parent",
                paramLabel = "PARENT",
                description = "Sees only this parent; may be repeated.")
        private @Nullable List<String> parents;

        @Option(
                names = "--machine",
                paramLabel = "MACHINE",
                description = "Sees only this machine; may be repeated.")
        private @Nullable List<String> machines;

        @Option(
                names = "--for",
                paramLabel = "TIME",
                description = "How long it is valid, such as 12h. Default: until it is revoked.")
        private @Nullable String time;

        private CreateToken(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            ObjectNode asked = body().put("name", name).put("role", role);
            if (tenant != null) {
                asked.put("tenant", tenant);
            }
            put(asked, "parents", parents);
            put(asked, "machines", machines);
            if (time != null) {
                asked.put("expires", Instant.now().plus(Session.duration("for", time)).toString());
            }
            JsonNode answer = service().post(ApiPath.of("tokens"), asked);
            session()
                    .one(
                            answer,
                            Fields.text(answer, "/id"),
                            () -> session().terminal().line(Fields.text(answer, "/token")));
            return ExitCode.OK;
        }

        private static void put(ObjectNode asked, String member, @Nullable List<String> names) {
            if (names != null) {
                ArrayNode array = asked.putArray(member);
                names.forEach(array::add);
            }
        }
    }

    @Command(name = "revoke", description = "Revoke a token, and end its sessions.")
    @SuppressWarnings("NullAway.Init")
    private static final class RevokeToken extends Verb {
        @Parameters(paramLabel = "ID", description = "The token's id; mdev tokens lists them.")
        private String id;

        private RevokeToken(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            session().done(service().delete(ApiPath.of("tokens", id)), "revoked token " + id);
            return ExitCode.OK;
        }
    }
}
