package dev.mdev.cli;

import static org.assertj.core.api.Assertions.assertThat;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.mdev.cli.terminal.Terminal;
import dev.mdev.gate.Deadlines;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/// What a verb did in this process.
record Run(int code, String out, String errors) {
    /// Runs a verb against a service.
    static Run of(String url, String... arguments) {
        return of(Map.of("MDEV_URL", url), false, "", List.of(arguments));
    }

    static Run of(
            Map<String, String> environment,
            boolean isTerminal,
            String in,
            List<String> arguments) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream errors = new ByteArrayOutputStream();
        Terminal terminal =
                new Terminal(new ByteArrayInputStream(in.getBytes(UTF_8)), out, errors, isTerminal);
        int code = Mdev.run(arguments, environment, terminal);
        return new Run(code, out.toString(UTF_8), errors.toString(UTF_8));
    }

    /// The end of a verb with a short timeout that had a connection: on a busy machine, even that
    /// may take longer, and the verb is run again.
    static Run connected(Supplier<Run> verb) {
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        Run run = verb.get();
        while (run.errors.contains("no connection to") && System.nanoTime() - end < 0) {
            run = verb.get();
        }
        return run;
    }

    /// The same, if it succeeded.
    Run requireOk() {
        assertThat(code).as("exit code; the errors are %s", errors).isZero();
        assertThat(errors).isEmpty();
        return this;
    }

    /// The same, if it failed with one line that has some words.
    Run requireFailure(int expected, String... words) {
        assertThat(code).as("exit code; the errors are %s", errors).isEqualTo(expected);
        assertThat(errors).startsWith("mdev: ").endsWith("\n");
        for (String word : words) {
            assertThat(errors).contains(word);
        }
        assertThat(errors.lines()).as("lines of the error").hasSize(1);
        return this;
    }
}
