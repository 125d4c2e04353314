package dev.mdev.core.bus;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.support.Seeded;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/// A real process, killed by SIGKILL while it works, over and over on one directory and one card.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
@Tag("slow")
class KillTest {
    private static final int KILLS = Integer.getInteger("mdev.kills", 5);

    @TempDir Path directory;

    @Test
    void nobodySeesAnothersBytesAndNothingIsBrokenHoweverOftenTheProcessIsKilled() {
        Seeded.run(
                1,
                random -> {
                    int verbs = 0;
                    for (int kill = 0; kill < KILLS; kill++) {
                        List<String> lines = runAndKill(KilledProcess.class, random);
                        assertThat(lines)
                                .as("kill %d: %s", kill, lines)
                                .contains("READY")
                                .noneMatch(line -> line.startsWith("LEAK"))
                                .noneMatch(line -> line.startsWith("BROKEN"));
                        verbs += (int) lines.stream().filter(l -> l.startsWith("done")).count();
                    }
                    assertThat(verbs).as("verbs that worked").isGreaterThan(KILLS);
                });
    }

    @Test
    void devicesThatTakePagesFromEachOtherLeaveNothingAndHaveTheirMinimums() {
        Seeded.run(
                1,
                random -> {
                    long rounds = 0;
                    for (int kill = 0; kill < KILLS; kill++) {
                        List<String> lines = runAndKill(ElasticKilledProcess.class, random);
                        assertThat(lines)
                                .as("kill %d: %s", kill, lines)
                                .contains("READY")
                                .noneMatch(line -> line.startsWith("LEAK"))
                                .noneMatch(line -> line.startsWith("BROKEN"));
                        rounds += lines.stream().filter(l -> l.startsWith("returned")).count();
                    }
                    assertThat(rounds).as("rounds in which pages came back").isPositive();
                });
    }

    /// Runs the process until it printed a random number of lines, kills it at that point, and
    /// reads the rest of its output.
    private List<String> runAndKill(Class<?> program, SplittableRandom random) {
        try {
            Process process =
                    new ProcessBuilder(
                                    Path.of(System.getProperty("java.home"), "bin", "java")
                                            .toString(),
                                    "-ea",
                                    "-Xshare:auto",
                                    "-XX:TieredStopAtLevel=1",
                                    // Else warnings are among the lines that are counted.
                                    "--enable-native-access=ALL-UNNAMED",
                                    "-cp",
                                    System.getProperty("java.class.path"),
                                    program.getName(),
                                    directory.toString(),
                                    Long.toString(random.nextLong()))
                            .redirectErrorStream(true)
                            .start();
            List<String> lines = new ArrayList<>();
            try (BufferedReader reader = process.inputReader(StandardCharsets.UTF_8)) {
                int enough = random.nextInt(5, 120);
                String line = reader.readLine();
                while (line != null) {
                    lines.add(line);
                    if (lines.size() == enough) {
                        // Process itself would also close the streams.
                        process.toHandle().destroyForcibly();
                    }
                    line = reader.readLine();
                }
            } finally {
                process.toHandle().destroyForcibly();
                int status = process.waitFor();
                assertThat(status).as("killed: %s", lines).isEqualTo(128 + 9);
            }
            return lines;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
