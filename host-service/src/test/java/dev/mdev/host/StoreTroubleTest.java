package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;

import java.util.UUID;

/// A state directory that is full or broken is the host's trouble, and reported as such.
@ExtendWith(OutputCaptureExtension.class)
class StoreTroubleTest extends OwnHostTest {
    private static final String SPEC = "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\"}";

    @ParameterizedTest
    @CsvSource({
        "ENOSPC, 507, store-full",
        "EDQUOT, 507, store-full",
        "EFBIG,  507, store-full",
        "EACCES, 500, store-failed",
        "EROFS,  500, store-failed",
        "EIO,    500, store-failed",
    })
    void nothingChangesAndNobodyIsBlamed(
            Errno errno, int status, String code, CapturedOutput output) {
        int from = output.toString().length();
        UUID there = api.createMdev("gpu0", "gpu-sample-16m");
        String defined = "/api/v1/definitions/" + UUID.randomUUID();
        api.put(defined, SPEC).requireStatus(201);
        files.failWith(errno);

        Answer refused = api.post("/api/v1/mdevs", SPEC).requireProblem(status, code);

        assertThat(refused.at("/errno")).isEqualTo(errno.name());
        assertThat(refused.at("/detail")).contains("directory=/tests");
        assertThat(
                        output.toString()
                                .substring(from)
                                .lines()
                                .filter(line -> line.contains(" ERROR ")))
                .singleElement()
                .asString()
                .contains("directory=/tests", errno.name());
        api.delete("/api/v1/mdevs/" + there).requireProblem(status, code);
        api.post("/api/v1/mdevs/%s/stop".formatted(there), "").requireProblem(status, code);
        api.delete(defined).requireProblem(status, code);
        api.put("/api/v1/definitions/" + UUID.randomUUID(), SPEC).requireProblem(status, code);
        api.put("/api/v1/mdevs/" + there, SPEC.replace("}", ",\"persist\":true}"))
                .requireProblem(status, code);
        assertThat(api.get("/api/v1/doctor").at("/state/trouble")).contains(errno.name());
        assertThat(api.get("/actuator/prometheus").text()).contains("mdevhost_journal_failing 1.0");
        files.failWith(null);
        assertThat(api.get("/api/v1/mdevs/" + there).at("/state/activity")).isEqualTo("active");
        api.delete(defined).requireStatus(204);
        api.delete("/api/v1/mdevs/" + there).requireStatus(204);
        assertThat(api.get("/api/v1/doctor").body().at("/state/trouble").isMissingNode()).isTrue();
        assertThat(api.get("/actuator/prometheus").text()).contains("mdevhost_journal_failing 0.0");
    }

    @Test
    void theServiceStartedOnAFullDirectoryAndSaidSo() {
        assertThat(api.namesOf("/api/v1/events?limit=1000", "/kind"))
                .contains("journal_trouble", "parent_arrived");
        api.createMdev("gpu0", "gpu-sample-16m");
    }

    @Test
    void thereAreNoMoreDefinitionsThanTheOperatorAllows() {
        for (int i = 0; i < 3; i++) {
            api.put("/api/v1/definitions/" + new UUID(0x4000, i), SPEC).requireStatus(201);
        }
        long last = api.get("/api/v1/parents/gpu0").numberAt("/pools/0/freePages");

        Answer refused = api.put("/api/v1/definitions/" + new UUID(0x4000, 9), SPEC);

        refused.requireProblem(409, "no-capacity");
        assertThat(refused.at("/detail")).contains("3 definitions");
        api.post("/api/v1/mdevs", SPEC.replace("}", ",\"persist\":true}"))
                .requireProblem(409, "no-capacity");
        assertThat(api.get("/api/v1/parents/gpu0").numberAt("/pools/0/freePages"))
                .as("nothing is left of what was refused")
                .isEqualTo(last);
        api.createMdev("gpu0", "gpu-sample-16m");
    }
}
