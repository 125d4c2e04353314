package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/// What a process leaves that is killed in the middle of its guest's faults: nothing. All it has is
/// held by descriptors, and sleeping in a fault is no hindrance to die.
@ExtendWith(RealKvm.class)
class KvmKillTest {
    private static final long PATIENCE_SECONDS = 30;

    /// Where the kernel lists the virtual machines there are, by process.
    private static final Path MACHINES = Path.of("/sys/kernel/debug/kvm");

    @ParameterizedTest
    @ValueSource(strings = {"faulting", "asleep"})
    void aKilledProcessLeavesNothingBehind(String how) throws Exception {
        Process process =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                "--enable-native-access=ALL-UNNAMED",
                                "-cp",
                                System.getProperty("java.class.path")
                                        + ":"
                                        + System.getProperty("jdk.module.path", ""),
                                KilledGuest.class.getName(),
                                how)
                        .redirectError(ProcessBuilder.Redirect.INHERIT)
                        .start();
        long pid = process.pid();
        try (BufferedReader output = process.inputReader(StandardCharsets.UTF_8)) {
            assertThat(output.readLine()).isEqualTo("ready");
            List<String> descriptors = descriptorsOf(pid);
            assertThat(descriptors).anyMatch(it -> it.contains("kvm-vcpu"));
            assertThat(descriptors).anyMatch(it -> it.contains("userfaultfd"));
            assertThat(descriptors).anyMatch(it -> it.contains("memfd:"));
        } finally {
            process.destroyForcibly();
        }

        assertThat(process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)).as("it dies").isTrue();
        assertThat(Path.of("/proc/" + pid)).doesNotExist();
        assertThat(machinesOf(pid)).isEmpty();
        assertThat(descriptorsHeldElsewhere(pid)).isEmpty();
    }

    private static List<String> descriptorsOf(long pid) throws IOException {
        try (Stream<Path> descriptors = Files.list(Path.of("/proc/" + pid + "/fd"))) {
            return descriptors.map(KvmKillTest::targetOf).toList();
        }
    }

    private static String targetOf(Path descriptor) {
        try {
            return Files.readSymbolicLink(descriptor).toString();
        } catch (IOException e) {
            // It was closed meanwhile.
            return "";
        }
    }

    private static List<Path> machinesOf(long pid) throws IOException {
        if (!Files.isReadable(MACHINES)) {
            return List.of();
        }
        try (Stream<Path> machines = Files.list(MACHINES)) {
            return machines.filter(it -> it.getFileName().toString().startsWith(pid + "-"))
                    .toList();
        }
    }

    /// Children that would keep its descriptors open.
    private static List<ProcessHandle> descriptorsHeldElsewhere(long pid) {
        return ProcessHandle.allProcesses()
                .filter(it -> it.parent().map(ProcessHandle::pid).orElse(0L) == pid)
                .toList();
    }
}
