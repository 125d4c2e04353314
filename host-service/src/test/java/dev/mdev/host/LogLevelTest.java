package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/// Levels of the log change while the service runs.
class LogLevelTest extends SecuredTest {
    private static final String LOGGER = "/actuator/loggers/dev.mdev.host.desired";
    private static final String DEBUG = "{\"configuredLevel\":\"debug\"}";

    private String level() {
        return admin.get(LOGGER).requireStatus(200).at("/effectiveLevel");
    }

    @Test
    void onlyAnAdministratorOfTheWholeHostChangesThem() {
        new As("").post(LOGGER, DEBUG).requireProblem(401, "unauthenticated");
        token("operator", "").post(LOGGER, DEBUG).requireProblem(403, "denied");
        tenant("red", "admin").post(LOGGER, DEBUG).requireProblem(403, "denied");
        token("viewer", "").get(LOGGER).requireProblem(403, "denied");
        assertThat(level()).isEqualTo("INFO");

        admin.post(LOGGER, DEBUG).requireStatus(204);

        try {
            assertThat(level()).isEqualTo("DEBUG");
            admin.post(LOGGER, "{\"configuredLevel\":\"loud\"}").requireStatus(400);
            assertThat(level()).isEqualTo("DEBUG");
        } finally {
            admin.post(LOGGER, "{}").requireStatus(204);
        }
        assertThat(level()).isEqualTo("INFO");
        assertThat(admin.get("/api/v1/audit?limit=1000&path=" + LOGGER).text())
                .contains("\"phase\":\"done\"", "\"status\":204");
    }
}
