package dev.mdev.cli.verb;

import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;

import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// The verbs that describe this program to other programs.
final class ManualVerbs {
    /// The names of the verbs.
    static final String COMPLETION = "completion";

    static final String MAN = "man";

    private ManualVerbs() {}

    private static CommandLine top(CommandSpec spec) {
        return spec.root().commandLine();
    }

    @Command(
            name = COMPLETION,
            description = {
                "Print the completion script of a shell.",
                "bash: source <(mdev completion bash)",
                "zsh: source <(mdev completion zsh)"
            })
    @SuppressWarnings("NullAway.Init")
    static final class Completion extends Verb {
        @Spec private CommandSpec spec;

        @Parameters(paramLabel = "SHELL", description = "bash or zsh.")
        private String shell;

        Completion(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            if (!shell.equals("bash") && !shell.equals("zsh")) {
                throw Failure.usage("shell=%s wanted=bash or zsh".formatted(shell));
            }
            // One script: under zsh it loads bashcompinit.
            AutoComplete.bash("mdev", top(spec)).lines().forEach(session().terminal()::safeLine);
            return ExitCode.OK;
        }
    }

    @Command(
            name = MAN,
            description = {"Print the manual page.", "mdev man > mdev.1 && man ./mdev.1"})
    @SuppressWarnings("NullAway.Init")
    static final class Man extends Verb {
        @Spec private CommandSpec spec;

        Man(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            ManPage.of(top(spec)).forEach(session().terminal()::safeLine);
            return ExitCode.OK;
        }
    }
}
