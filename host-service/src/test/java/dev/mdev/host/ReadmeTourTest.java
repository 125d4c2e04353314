package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/// Runs the commands of the README's tour, in order, and compares what they print with what the
/// README says they print. Times, random ids and the engine's name may differ.
@Tag("slow")
class ReadmeTourTest extends HostTest {
    private static final Path README = Path.of("..", "README.md");

    /// A command and what it printed, as documented.
    private record Step(String command, String output) {}

    @Test
    void theTourPrintsWhatTheReadmeSays() throws Exception {
        assumeThat(Files.isExecutable(Path.of("/bin/bash")) && hasCurl())
                .as("bash and curl are there")
                .isTrue();
        List<Step> steps = stepsOf(Files.readString(README));
        assertThat(steps).hasSizeGreaterThan(8);
        for (Step step : steps) {
            String printed = run(step.command.replace("127.0.0.1:8080", "127.0.0.1:" + port()));
            assertThat(withoutWhatVaries(printed))
                    .as(step.command)
                    .isEqualTo(withoutWhatVaries(step.output));
        }
    }

    private static List<Step> stepsOf(String readme) {
        List<Step> steps = new ArrayList<>();
        boolean inside = false;
        String command = "";
        List<String> output = new ArrayList<>();
        for (String line : readme.lines().toList()) {
            boolean fence = line.startsWith("```");
            if (inside && (fence || line.startsWith("$ "))) {
                if (!command.isEmpty()) {
                    steps.add(new Step(command, String.join("\n", output)));
                }
                output = new ArrayList<>();
                command = "";
            }
            if (fence) {
                inside = line.equals("```console");
            } else if (inside && line.startsWith("$ ")) {
                command = line.substring(2);
            } else if (inside) {
                output.add(line);
            }
        }
        return steps;
    }

    private static boolean hasCurl() throws IOException, InterruptedException {
        return new ProcessBuilder("/bin/bash", "-c", "command -v curl")
                        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                        .start()
                        .waitFor()
                == 0;
    }

    private static String run(String command) throws Exception {
        Process process =
                new ProcessBuilder("/bin/bash", "-c", command).redirectErrorStream(true).start();
        String printed =
                new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)).as(command).isTrue();
        return printed.stripTrailing();
    }

    private static String withoutWhatVaries(String printed) {
        return printed.replaceAll("\"(micros|driverMicros)\":[0-9]+", "\"$1\":0")
                .replaceAll("\"(time|created)\":\"[^\"]*\"", "\"$1\":\"\"")
                .replaceAll("urn:uuid:[0-9a-f-]{36}", "urn:uuid:")
                .replaceAll("\"engine\":\"[a-z]+\"", "\"engine\":\"\"")
                .replaceAll("pfns\\[0x[0-9a-f]+, 0x[0-9a-f]+\\)", "pfns");
    }
}
