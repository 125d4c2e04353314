package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import com.github.dockerjava.api.command.CreateContainerCmd;
import com.github.dockerjava.api.model.Capability;

import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.wait.strategy.Wait;
import org.testcontainers.utility.DockerImageName;

import java.io.IOException;
import java.net.URI;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/// The image builds from the Dockerfile and runs with minimal rights: no privileges, no
/// capabilities, a read-only file system, a user other than root.
@ExtendWith(TestImage.WhereImagesAreBuilt.class)
@Tag("slow")
class ContainerTest {
    private static final GenericContainer<?> CONTAINER =
            new GenericContainer<>(DockerImageName.parse(TestImage.NAME))
                    .withImagePullPolicy(_ -> false)
                    .withExposedPorts(8080)
                    // Otherwise a cache that does not fit is silently left out.
                    .withEnv("JAVA_OPTS", "-XX:AOTMode=on")
                    .withCommand("--mdev.driver-deadline=60s")
                    .withTmpFs(Map.of("/tmp", "rw,noexec,nosuid"))
                    .withCreateContainerCmdModifier(ContainerTest::allowNothing)
                    .waitingFor(Wait.forHealthcheck().withStartupTimeout(Deadlines.HANG));

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
        TestImage.build();
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
}
