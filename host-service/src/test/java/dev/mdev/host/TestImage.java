package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/// The image of the Dockerfile.
///
/// Base images come from `MDEV_IMAGE_BUILD_ARGS`, as `.ci/base-images` prints them; without it the
/// public ones must be local already, because a test downloads no images.
final class TestImage {
    static final String NAME = "mdev-host:test";
    private static final List<String> PUBLIC_IMAGES =
            List.of("maven:3.9-eclipse-temurin-25", "eclipse-temurin:25-jre");
    private static final Path ROOT = Path.of("..").toAbsolutePath().normalize();

    private TestImage() {}

    /// Skips with a reason where no image can be built.
    static final class WhereImagesAreBuilt implements ExecutionCondition {
        @Override
        public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
            try {
                if (docker(Deadlines.HANG_SECONDS, "version").exit != 0) {
                    return ConditionEvaluationResult.disabled("no docker engine runs here");
                }
                boolean imagesAreHere =
                        System.getenv("MDEV_IMAGE_BUILD_ARGS") != null
                                || docker(
                                                        Deadlines.HANG_SECONDS,
                                                        command("image inspect", PUBLIC_IMAGES))
                                                .exit
                                        == 0;
                return imagesAreHere
                        ? ConditionEvaluationResult.enabled("an image can be built")
                        : ConditionEvaluationResult.disabled(
                                "no base images: pull %s, or use .ci/run".formatted(PUBLIC_IMAGES));
            } catch (IOException e) {
                return ConditionEvaluationResult.disabled("no docker engine: " + e.getMessage());
            }
        }
    }

    /// Builds it. What was built before is built in no time.
    static void build() throws IOException {
        List<String> build = new ArrayList<>(List.of("build", "-t", NAME));
        String arguments = System.getenv("MDEV_IMAGE_BUILD_ARGS");
        if (arguments != null && !arguments.isBlank()) {
            build.addAll(List.of(arguments.strip().split("\\s+", -1)));
        }
        build.add(ROOT.toString());
        Finished finished = docker(12 * Deadlines.HANG_SECONDS, build.toArray(String[]::new));
        assertThat(finished.exit).as("docker build: %s", finished.output).isZero();
    }

    private static String[] command(String verb, List<String> names) {
        List<String> words = new ArrayList<>(List.of(verb.split(" ", -1)));
        words.addAll(names);
        return words.toArray(String[]::new);
    }

    private record Finished(int exit, String output) {}

    /// Runs docker's command line.
    ///
    /// @throws IOException if there is none, or it takes too long
    private static Finished docker(long seconds, String... words) throws IOException {
        List<String> command = new ArrayList<>(List.of("docker"));
        command.addAll(List.of(words));
        Path output = Files.createTempFile("docker", ".log");
        Process process =
                new ProcessBuilder(command)
                        .redirectErrorStream(true)
                        .redirectOutput(output.toFile())
                        .start();
        try {
            if (!process.waitFor(seconds, TimeUnit.SECONDS)) {
                throw new IOException(
                        "docker %s is not done after %d seconds; its output so far: %s"
                                .formatted(words[0], seconds, Files.readString(output)));
            }
            return new Finished(
                    process.exitValue(), Files.readString(output, StandardCharsets.UTF_8));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        } finally {
            process.destroy();
            Files.delete(output);
        }
    }
}
