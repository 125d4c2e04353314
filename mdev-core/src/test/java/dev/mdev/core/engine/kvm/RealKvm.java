package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.mdev.core.engine.EngineProbe;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.stream.Collectors;

/// For tests that need `/dev/kvm` and `/dev/userfaultfd`: skips the class where they are missing
/// (or fails, if the environment's `MDEV_REQUIRE_KVM` requires them), and kills the whole process
/// if the class hangs.
///
/// The killer is another process. A thread of this one could not do it: when a Java thread sleeps
/// in a page fault, the next safepoint stops all others for good.
public final class RealKvm implements BeforeAllCallback, AfterAllCallback {
    private static final long PATIENCE_SECONDS = Long.getLong("mdev.kvm.killAfterSeconds", 600);

    private @Nullable Process killer;

    @Override
    public void beforeAll(ExtensionContext context) throws IOException {
        EngineProbe probe = new KvmEngine(Duration.ofSeconds(1)).probe();
        String missing =
                probe.findings().stream()
                        .filter(finding -> !finding.met())
                        .map(finding -> finding.need() + ": " + finding.detail())
                        .collect(Collectors.joining("; ", "no kvm engine here: ", ""));
        assertThat(probe.isAvailable() || System.getenv("MDEV_REQUIRE_KVM") == null)
                .as("the devices are here, but %s", missing)
                .isTrue();
        assumeTrue(probe.isAvailable(), missing);
        killer =
                new ProcessBuilder(
                                "sh",
                                "-c",
                                "sleep %d; kill -KILL %d"
                                        .formatted(PATIENCE_SECONDS, ProcessHandle.current().pid()))
                        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                        .redirectError(ProcessBuilder.Redirect.DISCARD)
                        .start();
    }

    @Override
    public void afterAll(ExtensionContext context) {
        Process running = killer;
        if (running != null) {
            // The shell first, so that it does not continue when its sleep ends.
            List<ProcessHandle> sleeps = running.descendants().toList();
            running.destroyForcibly();
            sleeps.forEach(ProcessHandle::destroyForcibly);
        }
    }
}
