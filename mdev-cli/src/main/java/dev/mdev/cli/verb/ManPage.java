package dev.mdev.cli.verb;

import dev.mdev.cli.client.Endpoint;

import picocli.CommandLine;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

import java.util.ArrayList;
import java.util.List;

/// The manual page, in the man macros of troff, out of the verbs' own descriptions.
final class ManPage {
    private final List<String> lines = new ArrayList<>();

    private ManPage() {}

    /// The page's lines.
    static List<String> of(CommandLine top) {
        ManPage page = new ManPage();
        CommandSpec spec = top.getCommandSpec();
        page.lines.add(".TH MDEV 1");
        page.section("NAME");
        page.text("mdev - operate a host service of mediated devices");
        page.section("SYNOPSIS");
        page.text("mdev [OPTION]... VERB [ARGUMENT]...");
        page.section("OPTIONS OF ALL VERBS");
        spec.options().forEach(page::option);
        page.section("VERBS");
        top.getSubcommands().values().forEach(verb -> page.verb("", verb));
        page.section("EXIT STATUS");
        for (String line :
                List.of(
                        "0 done",
                        "1 failed",
                        "2 wrong arguments",
                        "3 not found",
                        "4 conflict",
                        "5 refused",
                        "6 the service does not answer")) {
            page.text(line);
            page.lines.add(".br");
        }
        page.section("ENVIRONMENT");
        page.item("MDEV_URL", "the service");
        page.item("MDEV_PROFILE", "the profile");
        page.item("MDEV_TOKEN", "the token, if the service asks for one");
        page.item("MDEV_SOCKET", "the Unix socket of this machine's service");
        page.item("MDEV_CACHE", "no: make and use no cache of classes");
        page.item("NO_COLOR", "no colours if it is set");
        page.item("JAVA_HOME", "looked at first for a Java 25 runtime");
        page.item("JAVA_OPTS", "more options of the Java runtime, which then uses no cache");
        page.section("FILES");
        page.item("~/.config/mdev/config", "profiles: url, timeout, output, token-file, ca-file");
        page.item("~/.cache/mdev", "the cache of classes");
        page.item(Endpoint.DEFAULT_SOCKET, "the Unix socket, if this user may write to it");
        return page.lines;
    }

    private void section(String title) {
        lines.add(".SH " + title);
    }

    private void verb(String before, CommandLine verb) {
        CommandSpec spec = verb.getCommandSpec();
        StringBuilder synopsis = new StringBuilder(before).append(spec.name());
        for (PositionalParamSpec argument : spec.positionalParameters()) {
            synopsis.append(' ').append(argument.paramLabel());
        }
        lines.add(".SS " + escaped(synopsis.toString()));
        for (String line : spec.usageMessage().description()) {
            text(line);
        }
        for (PositionalParamSpec argument : spec.positionalParameters()) {
            item(argument.paramLabel(), words(argument));
        }
        spec.options().stream().filter(option -> !option.inherited()).forEach(this::option);
        verb.getSubcommands().values().forEach(inner -> verb(before + spec.name() + " ", inner));
    }

    private void option(OptionSpec option) {
        String names = String.join(", ", option.names());
        item(option.arity().max() == 0 ? names : names + " " + option.paramLabel(), words(option));
    }

    private static String words(ArgSpec argument) {
        return String.join(" ", argument.description());
    }

    private void item(String title, String text) {
        lines.add(".TP");
        lines.add(".B " + escaped(title));
        text(text);
    }

    private void text(String text) {
        String escaped = escaped(text);
        lines.add(escaped.startsWith(".") || escaped.startsWith("'") ? "\\&" + escaped : escaped);
    }

    private static String escaped(String text) {
        return text.replace("\\", "\\e").replace("-", "\\-");
    }
}
