package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.engine.kvm.RealKvm;
import dev.mdev.gate.OnlyInBox;

import org.junit.jupiter.api.Test;
import org.springframework.test.context.TestPropertySource;

/// The same on real virtual processors. In the box the kernel has system management mode.
@RealKvm
@OnlyInBox
@TestPropertySource(properties = "mdev.engine=kvm")
class SmmTourOnKvmTest extends SmmTourTest {
    @Test
    void theMachineHasRealProcessors() {
        api.createMachine("vm1", api.createMdev("gpu0", "gpu-sample-16m"));
        assertThat(api.get("/api/v1/machines/vm1").at("/engine")).isEqualTo("kvm");
    }

    @Test
    void theFormerDesignIsRefusedInWordsAndNothingIsLeft() {
        Answer refused =
                api.post(
                        "/api/v1/machines",
                        "{\"name\":\"vm1\",\"ramMib\":2,\"smm\":\"slot-flag\"}");
        refused.requireProblem(501, "not-supported");
        assertThat(refused.at("/detail")).contains("smm=slot-flag engine=kvm");
        api.get("/api/v1/machines/vm1").requireProblem(404, "not-found");
    }
}
