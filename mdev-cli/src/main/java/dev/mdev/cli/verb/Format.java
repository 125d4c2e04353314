package dev.mdev.cli.verb;

import dev.mdev.cli.failure.Failure;

/// How a verb prints an answer.
enum Format {
    /// Columns for people.
    TABLE,
    /// More columns.
    WIDE,
    /// The service's answer, as the REST reference describes it.
    JSON,
    /// The same as YAML.
    YAML,
    /// Only the names or UUIDs, one a line.
    NAME;

    /// @throws Failure if there is no such format
    static Format of(String word) {
        return switch (word) {
            case "table" -> TABLE;
            case "wide" -> WIDE;
            case "json" -> JSON;
            case "yaml" -> YAML;
            case "name" -> NAME;
            default ->
                    throw Failure.usage(
                            "output=%s wanted=table, wide, json, yaml or name".formatted(word));
        };
    }
}
