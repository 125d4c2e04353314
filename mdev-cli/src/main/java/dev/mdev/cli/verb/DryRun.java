package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;

import picocli.CommandLine.Option;

import tools.jackson.databind.JsonNode;

/// The option of verbs that the service only checks.
final class DryRun {
    @Option(
            names = "--dry-run",
            description = "Change nothing; tell whether the service would do it.")
    private boolean only;

    /// The call with its parameter.
    ApiPath on(ApiPath path) {
        return only ? path.with("dryRun", true) : path;
    }

    /// Whether the verb is to change nothing.
    boolean isAsked() {
        return only;
    }

    /// Confirms a change, or that nothing refuses it.
    void done(Session session, JsonNode answer, String confirmation) {
        session.done(answer, only ? "dry run: nothing is in the way" : confirmation);
    }
}
