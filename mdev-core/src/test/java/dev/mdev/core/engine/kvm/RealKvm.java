package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;

import java.io.IOException;
import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.time.Duration;
import java.util.List;
import java.util.stream.Collectors;

/// Marks a test class that needs `/dev/kvm` and `/dev/userfaultfd`. JUnit skips the class where
/// they are missing (or fails it, if the environment's `MDEV_REQUIRE_KVM` says that they are
/// there); the tag says what `.ci/box` has to run.
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@Inherited
@Tag("kvm")
@ExtendWith(RealKvm.Guard.class)
public @interface RealKvm {
    /// Skips the class, and kills the whole process if the class hangs.
    ///
    /// The killer is another process. A thread of this one could not do it: when a Java thread
    /// sleeps in a page fault, the next safepoint stops all others for good.
    final class Guard implements ExecutionCondition, BeforeAllCallback, AfterAllCallback {
        private static final long PATIENCE_SECONDS = Long.getLong("mdev.kvm.killAfterSeconds", 600);

        private @Nullable Process killer;

        @Override
        public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
            if (context.getTestMethod().isPresent()) {
                return ConditionEvaluationResult.enabled("the class is");
            }
            String missing = missing();
            return missing.isEmpty() || System.getenv("MDEV_REQUIRE_KVM") != null
                    ? ConditionEvaluationResult.enabled("the kvm engine is here, or has to be")
                    : ConditionEvaluationResult.disabled("no kvm engine here: " + missing);
        }

        @Override
        public void beforeAll(ExtensionContext context) throws IOException {
            assertThat(missing()).as("what the kvm engine lacks, though it is required").isEmpty();
            killer =
                    new ProcessBuilder(
                                    "sh",
                                    "-c",
                                    "sleep %d; kill -KILL %d"
                                            .formatted(
                                                    PATIENCE_SECONDS,
                                                    ProcessHandle.current().pid()))
                            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                            .redirectError(ProcessBuilder.Redirect.DISCARD)
                            .start();
        }

        @Override
        public void afterAll(ExtensionContext context) {
            Process running = killer;
            if (running != null) {
                // The shell first, so that it does not go on when its sleep ends.
                List<ProcessHandle> sleeps = running.descendants().toList();
                running.destroyForcibly();
                sleeps.forEach(ProcessHandle::destroyForcibly);
            }
        }

        private static String missing() {
            return new KvmEngine(Duration.ofSeconds(1))
                    .probe().findings().stream()
                            .filter(finding -> !finding.met())
                            .map(finding -> finding.need() + ": " + finding.detail())
                            .collect(Collectors.joining("; "));
        }
    }
}
