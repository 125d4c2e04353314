package dev.mdev.cli.verb;

import dev.mdev.cli.text.Fields;

import picocli.CommandLine.Option;

import tools.jackson.databind.JsonNode;

/// The option of verbs whose work may go on without this program.
final class Async {
    @Option(
            names = "--async",
            description = "Do not wait for the end; mdev operations shows what becomes of it.")
    private boolean isAsked;

    /// Whether the verb does not wait.
    boolean isAsked() {
        return isAsked;
    }

    /// Prints the operation that goes on.
    static void print(Session session, JsonNode operation) {
        String id = Fields.text(operation, "/id");
        session.one(operation, id, () -> session.terminal().line(id));
    }
}
