package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.springframework.test.context.TestPropertySource;

/// The operator's bound on memory counts the apertures of drivers and the RAM of machines.
@TestPropertySource(properties = {"mdev.max-memory=24MB", "mdev.drivers.gpu-sample.vram-mib=32"})
@Tag("slow")
class MemoryLimitTest extends HostTest {
    @Test
    void aDriverWhoseApertureDoesNotFitIsLeftOut() {
        assertThat(api.get("/api/v1/doctor").requireStatus(200).body().at("/drivers"))
                .anySatisfy(driver -> {
                    assertThat(driver.at("/name").asString()).isEqualTo("gpu-sample");
                    assertThat(driver.at("/trouble").asString())
                            .contains("ENOMEM", "block=gpu0", "limitBytes=25165824");
                });
        assertThat(api.namesOf("/api/v1/parents", "/name")).containsExactly(HostileDriver.PARENT);
    }

    @Test
    void aMachineWhoseRamDoesNotFitIsRefusedAndASmallerOneIsNot() {
        Answer refused = api.post("/api/v1/machines", "{\"name\":\"vm1\",\"ramMib\":21}");

        refused.requireProblem(507, "no-memory");
        assertThat(refused.at("/errno")).isEqualTo("ENOMEM");
        assertThat(refused.at("/detail")).contains("block=ram of vm1", "limitBytes=25165824");
        for (int i = 0; i < 2; i++) {
            api.post("/api/v1/machines", "{\"name\":\"vm1\",\"ramMib\":19}").requireStatus(201);
            api.delete("/api/v1/machines/vm1").requireStatus(204);
        }
    }
}
