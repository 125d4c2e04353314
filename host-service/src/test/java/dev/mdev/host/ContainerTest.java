package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import com.github.dockerjava.api.command.CreateContainerCmd;
import com.github.dockerjava.api.model.Capability;

import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.wait.strategy.Wait;
import org.testcontainers.utility.DockerImageName;

import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;

/// The image builds from the Dockerfile and runs with minimal rights: no privileges, no
/// capabilities, a read-only file system, a user other than root.
///
/// Base images come from `MDEV_IMAGE_BUILD_ARGS`, as `.ci/base-images` prints them; without it the
/// public ones must be local already, because a test downloads no images.
@ExtendWith(ContainerTest.WhereImagesAreBuilt.class)
@Tag("slow")
class ContainerTest {
    private static final String IMAGE = "mdev-host:test";
    private static final List<String> PUBLIC_IMAGES =
            List.of("maven:3.9-eclipse-temurin-25", "eclipse-temurin:25-jre");
    private static final Path ROOT = Path.of("..").toAbsolutePath().normalize();

    private static final GenericContainer<?> CONTAINER =
            new GenericContainer<>(DockerImageName.parse(IMAGE))
                    .withImagePullPolicy(_ -> false)
                    .withExposedPorts(8080)
                    // Otherwise a cache that does not fit is silently left out.
                    .withEnv("JAVA_OPTS", "-XX:AOTMode=on")
                    .withTmpFs(Map.of("/tmp", "rw,noexec,nosuid"))
                    .withCreateContainerCmdModifier(ContainerTest::allowNothing)
                    .waitingFor(Wait.forHealthcheck().withStartupTimeout(Deadlines.HANG));

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

    private static void allowNothing(CreateContainerCmd command) {
        var host = command.getHostConfig();
        if (host == null) {
            throw new IllegalStateException("no host configuration to restrict");
        }
        host.withReadonlyRootfs(true)
                .withCapDrop(Capability.ALL)
                .withSecurityOpts(List.of("no-new-privileges"))
                .withMemory(1L << 30);
    }

    @BeforeAll
    static void buildAndStart() throws IOException {
        List<String> build = new ArrayList<>(List.of("build", "-t", IMAGE));
        String arguments = System.getenv("MDEV_IMAGE_BUILD_ARGS");
        if (arguments != null && !arguments.isBlank()) {
            build.addAll(List.of(arguments.strip().split("\\s+", -1)));
        }
        build.add(ROOT.toString());
        Finished finished = docker(12 * Deadlines.HANG_SECONDS, build.toArray(String[]::new));
        assertThat(finished.exit).as("docker build: %s", finished.output).isZero();
        CONTAINER.start();
    }

    @AfterAll
    static void stop() {
        CONTAINER.stop();
    }

    @Test
    void theServiceDoesItsMainJobWithoutPrivileges() {
        URI root =
                URI.create(
                        "http://%s:%d"
                                .formatted(CONTAINER.getHost(), CONTAINER.getMappedPort(8080)));
        try (Api api = new Api(root)) {
            UUID mdev = api.createMdev("gpu0", "gpu-sample-64m");
            api.createMachine("vm1", mdev);
            Answer written =
                    api.run(
                                    "vm1",
                                    """
                                    {"steps":[{"op":"write","at":{"mdev":"%s","bar":0},"count":64,"stride":4096}]}\
                                    """
                                            .formatted(mdev))
                            .requireStatus(200);
            assertThat(written.at("/end")).isEqualTo("completed");
            assertThat(written.numberAt("/devices/0/faults")).isEqualTo(64);
            assertThat(written.numberAt("/devices/0/residentPages")).isEqualTo(64);

            Answer report = api.get("/api/v1/doctor").requireStatus(200);
            assertThat(report.body().at("/engines/0/name").asString()).isEqualTo("software");
            assertThat(report.body().at("/engines/0/inUse").asBoolean()).isTrue();
            assertThat(report.body().at("/engines/1/available").asBoolean()).isFalse();
            assertThat(report.body().at("/barFiles/available").asBoolean()).isFalse();
            assertThat(report.text())
                    .contains("/dev/fuse", "CAP_SYS_ADMIN")
                    .doesNotContain("UnsatisfiedLinkError");
            assertThat(report.text()).contains("/dev/kvm").doesNotContain("UnsatisfiedLinkError");
            api.removeEverything();
        }
    }

    @Test
    void theServiceIsNotRoot() throws Exception {
        assertThat(CONTAINER.execInContainer("id", "-u").getStdout().strip()).isEqualTo("10001");
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
