package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.engine.kvm.RealKvm;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.springframework.test.context.TestPropertySource;

/// The same numbers with guests on real virtual processors.
@RealKvm
@TestPropertySource(properties = "mdev.engine=kvm")
@Tag("slow")
class KvmTourNumbersTest extends TourNumbersTest {
    @Test
    void theMachineHasRealProcessors() {
        api.createMachine("vm1", api.createMdev("gpu0", "gpu-sample-16m"));
        assertThat(api.get("/api/v1/machines/vm1").at("/engine")).isEqualTo("kvm");
    }
}
