package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.test.annotation.DirtiesContext;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.context.DynamicPropertySource;

import java.io.IOException;
import java.nio.file.Path;

/// The health of a service with a state directory.
@DirtiesContext
class HealthTest extends HostTest {
    @TempDir static Path folder;

    @DynamicPropertySource
    static void stateDirectory(DynamicPropertyRegistry settings) {
        settings.add("mdev.state-dir", () -> state().toString());
    }

    private static Path state() {
        return folder.resolve("state");
    }

    @Test
    void theDiskThatMattersIsThatOfTheStateDirectory() throws IOException {
        Answer health = api.get("/actuator/health").requireStatus(200);

        assertThat(health.at("/status")).isEqualTo("UP");
        assertThat(Path.of(health.at("/components/diskSpace/details/path")).toRealPath())
                .isEqualTo(state().toRealPath());
        assertThat(health.body().at("/components/diskSpace/details/exists").asBoolean()).isTrue();
    }
}
