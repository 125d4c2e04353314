package dev.mdev.cli.verb;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;

/// The options of all verbs. They may stand before or after the verb.
@Command(
        name = "mdev",
        description = "Operate a host service of mediated devices.",
        synopsisSubcommandLabel = "VERB",
        commandListHeading = "%nVerbs:%n",
        optionListHeading = "%nOptions of all verbs:%n",
        footer = {
            "",
            "Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 not found, 4 conflict, 5 refused,",
            "6 the service does not answer. mdev VERB --help describes a verb."
        })
public final class Options {
    /// Where the service is; absent if the environment or the profile says it.
    @Option(
            names = "--url",
            paramLabel = "URL",
            scope = ScopeType.INHERIT,
            description = "The service. Default: MDEV_URL, the profile, the socket, port 8080.")
    @Nullable String url;

    /// The profile's name.
    @Option(
            names = "--profile",
            paramLabel = "NAME",
            scope = ScopeType.INHERIT,
            description = "A profile of ~/.config/mdev/config. Default: MDEV_PROFILE.")
    @Nullable String profile;

    /// How long the service may take.
    @Option(
            names = "--timeout",
            paramLabel = "TIME",
            scope = ScopeType.INHERIT,
            description = "How long an answer may take, such as 500ms or 2m. Default: 30s.")
    @Nullable String timeout;

    /// The format's word.
    @Option(
            names = {"-o", "--output"},
            paramLabel = "FORMAT",
            scope = ScopeType.INHERIT,
            description = "table, wide, json, yaml, or name. Default: table.")
    @Nullable String output;

    /// Whether only answers are printed.
    @Option(
            names = {"-q", "--quiet"},
            scope = ScopeType.INHERIT,
            description = "Print no confirmations.")
    boolean quiet;

    /// When to use colours.
    @Option(
            names = "--color",
            paramLabel = "WHEN",
            defaultValue = "auto",
            scope = ScopeType.INHERIT,
            description = "auto, always or never. auto: on a terminal, unless NO_COLOR is set.")
    String color = "auto";

    /// Whether help is asked for.
    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            scope = ScopeType.INHERIT,
            description = "Print this help.")
    boolean help;

    /// Whether the version is asked for.
    @Option(
            names = {"-V", "--version"},
            versionHelp = true,
            scope = ScopeType.INHERIT,
            description = "Print the version.")
    boolean version;
}
