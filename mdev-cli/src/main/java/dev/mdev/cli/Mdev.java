package dev.mdev.cli;

import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;
import dev.mdev.cli.terminal.ClosedPipeException;
import dev.mdev.cli.terminal.Terminal;
import dev.mdev.cli.verb.Options;
import dev.mdev.cli.verb.Session;
import dev.mdev.cli.verb.Verbs;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// The program `mdev`.
public final class Mdev {
    private static final int HELP_WIDTH = 100;

    private Mdev() {}

    static void main(String[] arguments) {
        Locale.setDefault(Locale.ROOT);
        Terminal terminal = Terminal.ofProcess(Boolean.getBoolean("mdev.terminal"));
        System.exit(run(List.of(arguments), System.getenv(), terminal));
    }

    /// Runs a verb.
    ///
    /// @return the exit code; the reason of a failure is on the terminal
    static int run(List<String> arguments, Map<String, String> environment, Terminal terminal) {
        Options options = new Options();
        try (Session session = new Session(options, environment, terminal)) {
            return run(commandLine(options, session, terminal, arguments), arguments, terminal);
        } catch (Failure | ClosedPipeException e) {
            return fail(e, terminal);
        }
    }

    private static CommandLine commandLine(
            Options options, Session session, Terminal terminal, List<String> arguments) {
        CommandLine mdev = new CommandLine(options);
        Verbs.addTo(mdev, session, arguments);
        mdev.getCommandSpec().version("mdev " + version());
        return mdev.setUsageHelpWidth(HELP_WIDTH)
                // A name or a description may begin with @; it is no file of arguments.
                .setExpandAtFiles(false)
                .setColorScheme(
                        CommandLine.Help.defaultColorScheme(
                                terminal.isTerminal() ? Ansi.ON : Ansi.OFF))
                .setExecutionExceptionHandler((e, _, _) -> fail(e, terminal))
                .setParameterExceptionHandler((e, _) -> fail(usageFailure(e), terminal));
    }

    /// As the jar's manifest says; a class folder has none.
    private static String version() {
        @Nullable String version = Mdev.class.getPackage().getImplementationVersion();
        return version == null ? "(unpackaged)" : version;
    }

    private static int run(CommandLine mdev, List<String> arguments, Terminal terminal) {
        StringWriter help = new StringWriter();
        mdev.setOut(new PrintWriter(help));
        int code = mdev.execute(arguments.toArray(String[]::new));
        help.toString().lines().forEach(terminal::safeLine);
        terminal.flush();
        return code;
    }

    private static Failure usageFailure(ParameterException e) {
        String verb = e.getCommandLine().getCommandSpec().qualifiedName();
        String guess =
                e instanceof UnmatchedArgumentException unmatched
                                && !unmatched.getSuggestions().isEmpty()
                        ? "; similar: " + String.join(", ", unmatched.getSuggestions())
                        : "";
        return new Failure(ExitCode.USAGE, e.getMessage() + guess, "see %s --help".formatted(verb));
    }

    /// Prints why a verb failed.
    private static int fail(Exception e, Terminal terminal) {
        return switch (e) {
            case ClosedPipeException _ -> ExitCode.OK.number();
            case Failure failure -> {
                terminal.error("mdev: " + failure.line());
                yield failure.code().number();
            }
            default -> {
                terminal.error(
                        "mdev: a bug in this program: %s at %s"
                                .formatted(e, Arrays.stream(e.getStackTrace()).limit(3).toList()));
                yield ExitCode.FAILED.number();
            }
        };
    }
}
