package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/// What a process leaves that is killed in the middle of its guest's faults: nothing. All it has is
/// held by descriptors, and sleeping in a fault is no hindrance to die.
@RealKvm
@Tag("slow")
class KvmKillTest {
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
        Set<Object> memory;
        try (BufferedReader output = process.inputReader(StandardCharsets.UTF_8)) {
            assertThat(output.readLine()).isEqualTo("ready");
            List<String> descriptors = descriptorsOf(pid);
            assertThat(descriptors).anyMatch(it -> it.contains("kvm-vcpu"));
            assertThat(descriptors).anyMatch(it -> it.contains("userfaultfd"));
            assertThat(descriptors).anyMatch(it -> it.contains("memfd:"));
            memory = memoryOf(ProcessHandle.of(pid).orElseThrow());
            assertThat(memory).isNotEmpty();
        } finally {
            process.destroyForcibly();
        }

        assertThat(process.waitFor(Deadlines.HANG_SECONDS, TimeUnit.SECONDS))
                .as("it dies")
                .isTrue();
        assertThat(machinesOf(pid)).isEmpty();
        assertThat(ProcessHandle.allProcesses().flatMap(it -> memoryOf(it).stream()))
                .as("memory that another process still has")
                .doesNotContainAnyElementsOf(memory);
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
            // It has been closed in the meantime.
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

    /// The files without names that a process has open, by device and inode; processes that end
    /// concurrently, or that are inaccessible, are left out.
    private static Set<Object> memoryOf(ProcessHandle process) {
        Set<Object> files = new HashSet<>();
        try (Stream<Path> descriptors = Files.list(Path.of("/proc/" + process.pid() + "/fd"))) {
            for (Path descriptor : descriptors.toList()) {
                if (targetOf(descriptor).contains("memfd:")) {
                    files.add(Files.readAttributes(descriptor, "unix:dev,ino").toString());
                }
            }
        } catch (IOException e) {
            return files;
        }
        return files;
    }
}
