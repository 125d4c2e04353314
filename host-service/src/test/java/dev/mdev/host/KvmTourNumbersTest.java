package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.engine.EngineProbe;
import dev.mdev.core.engine.kvm.KvmEngine;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.springframework.test.context.TestPropertySource;

import java.time.Duration;

/// The same numbers with guests on real virtual processors.
@ExtendWith(KvmTourNumbersTest.WhereKvmWorks.class)
@TestPropertySource(properties = "mdev.engine=kvm")
@Tag("slow")
class KvmTourNumbersTest extends TourNumbersTest {
    @Test
    void theMachineHasRealProcessors() {
        api.createMachine("vm1", api.createMdev("gpu0", "gpu-sample-16m"));
        assertThat(api.get("/api/v1/machines/vm1").at("/engine")).isEqualTo("kvm");
    }

    /// Skips with a reason where the engine lacks something.
    static final class WhereKvmWorks implements ExecutionCondition {
        @Override
        public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
            try {
                EngineProbe probe = new KvmEngine(Duration.ofSeconds(1)).probe();
                return probe.isAvailable()
                        ? ConditionEvaluationResult.enabled("KVM works here")
                        : ConditionEvaluationResult.disabled("no KVM: " + probe.findings());
            } catch (RuntimeException | LinkageError e) {
                return ConditionEvaluationResult.disabled("no KVM: " + e);
            }
        }
    }
}
