package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.mdev.gate.Deadlines;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/// The commands of a section of the README, and what they print, as documented.
final class ReadmeTour {
    static final Path README = Path.of("..", "README.md");

    private ReadmeTour() {}

    /// A command and its output.
    record Step(String command, String output) {}

    /// The lines of each block of a section that shows a console.
    static List<List<String>> blocks(String heading) throws IOException {
        List<List<String>> blocks = new ArrayList<>();
        boolean inSection = false;
        boolean inBlock = false;
        for (String line : Files.readAllLines(README)) {
            if (line.startsWith("```")) {
                inBlock = inSection && line.equals("```console");
                if (inBlock) {
                    blocks.add(new ArrayList<>());
                }
            } else if (inBlock) {
                blocks.getLast().add(line);
            } else if (line.startsWith("## ")) {
                inSection = line.equals("## " + heading);
            }
        }
        return blocks;
    }

    /// The commands of a block, which begin with `$`.
    static List<Step> steps(List<String> block) {
        List<Step> steps = new ArrayList<>();
        for (String line : block) {
            if (line.startsWith("$ ")) {
                steps.add(new Step(line.substring(2), ""));
            } else {
                Step last = steps.removeLast();
                String before = last.output.isEmpty() ? "" : last.output + "\n";
                steps.add(new Step(last.command, before + line));
            }
        }
        return steps;
    }

    /// Skips the test where the commands of a tour cannot run.
    static void assumeCommands() throws IOException, InterruptedException {
        assumeThat(Files.isExecutable(Path.of("/bin/bash")) && hasCurl())
                .as("bash and curl are there")
                .isTrue();
    }

    private static boolean hasCurl() throws IOException, InterruptedException {
        return new ProcessBuilder("/bin/bash", "-c", "command -v curl")
                        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                        .start()
                        .waitFor()
                == 0;
    }

    /// Runs a command.
    ///
    /// @return what it prints
    static String run(String command) throws IOException, InterruptedException {
        Process process =
                new ProcessBuilder("/bin/bash", "-c", command).redirectErrorStream(true).start();
        String printed =
                new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)).as(command).isTrue();
        return printed.stripTrailing();
    }

    /// Times, random ids and the engine's name may differ.
    static String withoutWhatVaries(String printed) {
        return printed.replaceAll("\"(micros|driverMicros)\":[0-9]+", "\"$1\":0")
                .replaceAll("\"(time|created)\":\"[^\"]*\"", "\"$1\":\"\"")
                .replaceAll("urn:uuid:[0-9a-f-]{36}", "urn:uuid:")
                .replaceAll("\"engine\":\"[a-z]+\"", "\"engine\":\"\"")
                .replaceAll("pfns\\[0x[0-9a-f]+, 0x[0-9a-f]+\\)", "pfns");
    }
}
