package dev.mdev.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.cli.client.Endpoint;
import dev.mdev.cli.terminal.Terminal;
import dev.mdev.cli.verb.Options;
import dev.mdev.cli.verb.Session;
import dev.mdev.cli.verb.Verbs;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import picocli.CommandLine;

import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/// Runs the commands of the documents against a fresh service, in order, and compares what they
/// print with what the documents say they print. `-Dmdev.documents=write` writes what they print.
@Tag("slow")
@EnabledOnOs(value = OS.LINUX, disabledReason = "the documents use bash and its tools")
class DocumentsTest {
    private static final Path REFERENCE = Path.of("..", "docs", "command-line.md");
    private static final Path GUIDE = Path.of("..", "docs", "operators-guide.md");
    private static final Path MEMORY_MODEL = Path.of("..", "docs", "memory-model.md");
    private static final Path README = Path.of("..", "README.md");

    /// The default of `mdev.socket-dir`.
    private static final String SOCKETS = "/run/mdev-host";

    /// A call that needs no shell.
    private static final Pattern SIMPLE = Pattern.compile("mdev( [A-Za-z0-9_:=,-]+)*");

    /// Digits that stay the same in a UUID that a person chose.
    private static final Pattern RANDOM_UUID =
            Pattern.compile("\\b(?!(.)\\1{7}-)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\\b");

    @TempDir private Path folder = Path.of("");

    @Test
    void theReferencePrintsWhatItSays() throws Exception {
        check(new ConsoleDocument(REFERENCE, "console"), 40);
    }

    @Test
    void theTourOfTheReadmePrintsWhatItSays() throws Exception {
        check(new ConsoleDocument(README, "shellsession"), 8);
    }

    @Test
    void theGuideToTwoTenantsPrintsWhatItSays() throws Exception {
        check(
                new ConsoleDocument(GUIDE, "console"),
                12,
                "--mdev.access.tenants.red.devices=1",
                "--mdev.access.tenants.blue.devices=2");
    }

    @Test
    void theMemoryModelPrintsWhatItSays() throws Exception {
        check(
                new ConsoleDocument(MEMORY_MODEL, "console"),
                7,
                "--mdev.drivers.gpu-sample.vga=true");
    }

    @Test
    void theReferenceHasEachVerbAndEachOption() throws Exception {
        String text = Files.readString(REFERENCE).replaceAll("\\s+", " ");
        Options options = new Options();
        CommandLine mdev = new CommandLine(options);
        Terminal nowhere =
                new Terminal(
                        InputStream.nullInputStream(),
                        OutputStream.nullOutputStream(),
                        OutputStream.nullOutputStream(),
                        false);
        try (Session session = new Session(options, Map.of(), nowhere)) {
            Verbs.addTo(mdev, session, List.of());
            requireDescribed(text, "mdev", mdev);
        }
    }

    private static void requireDescribed(String text, String name, CommandLine verb) {
        assertThat(text.contains(name)).as("%s is described", name).isTrue();
        verb.getCommandSpec()
                .options()
                .forEach(option ->
                        assertThat(text.contains(option.longestName()))
                                .as("%s %s is described", name, option.longestName())
                                .isTrue());
        verb.getSubcommands()
                .forEach((word, inner) -> requireDescribed(text, name + " " + word, inner));
    }

    private void check(ConsoleDocument document, int atLeast, String... options) throws Exception {
        List<ConsoleDocument.Step> steps = document.steps();
        assertThat(steps).hasSizeGreaterThanOrEqualTo(atLeast);
        List<String> printed = new ArrayList<>();
        try (ServiceProcess service = ServiceProcess.start(folder, options)) {
            Shell shell = new Shell(folder, service.url());
            for (ConsoleDocument.Step step : steps) {
                String output =
                        execute(shell, service.url(), step.command())
                                .replace(service.url(), Endpoint.DEFAULT_URL)
                                .replace(folder.resolve("sockets").toString(), SOCKETS);
                printed.add(output);
                if (!writes()) {
                    assertThat(withoutWhatVaries(output))
                            .as(step.command())
                            .isEqualTo(withoutWhatVaries(step.output()));
                }
            }
        }
        if (writes()) {
            document.rewrite(printed);
        }
    }

    private static boolean writes() {
        return System.getProperty("mdev.documents", "").equals("write");
    }

    private String execute(Shell shell, String url, String command) throws Exception {
        if (!SIMPLE.matcher(command).matches()) {
            return shell.run(command).out().stripTrailing();
        }
        String[] words = command.split(" ");
        Run run =
                Run.of(
                        Map.of("MDEV_URL", url, "HOME", folder.toString()),
                        false,
                        "",
                        List.of(words).subList(1, words.length));
        return (run.out() + run.errors()).stripTrailing();
    }

    /// Times, durations, random UUIDs and addresses differ, and with them the widths of columns.
    private static String withoutWhatVaries(String output) {
        String text = RANDOM_UUID.matcher(output).replaceAll("UUID");
        return text.replaceAll("[0-9-]{10}T[0-9:.]+Z", "TIME")
                .replaceAll("pfns\\[0x[0-9a-f]+, 0x[0-9a-f]+\\)", "pfns")
                .replaceAll("(granted|trapped|denied|refused|failed) +[0-9]+ ", "$1 N ")
                .replaceAll(
                        "(?m)^(write|read|check|fill|smi|rsm)((?: +[01](?:, smm)?)?"
                                + " +[0-9-]+ +[0-9-]+ +[0-9]+) +[0-9]+",
                        "$1$2 N")
                .replaceAll("\"?micros\"?: [0-9]+", "micros: N")
                .replaceAll(" +", " ");
    }
}
