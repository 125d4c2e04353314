package dev.mdev.core.vm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Scanner;
import java.util.stream.Stream;

@EnabledOnOs(value = OS.LINUX, disabledReason = "/proc is Linux's")
class VcpuPriorityTest {
    private static final GuestProgram LOAD =
            new GuestProgram(
                    List.of(new GuestProgram.Step.Read(new GuestAccess.Span(0, Long.BYTES, 1, 0))),
                    false);

    @Test
    void processorsAreNicerThanTheThreadsThatAnswerOperators() throws Exception {
        try (HostMemory memory = new HostMemory(new OffHeapBackend());
                VirtualMachine machine =
                        new VirtualMachine(
                                new MachineSpec("nice", 1 << 20, 1),
                                new SoftwareEngine(Deadlines.HANG),
                                memory)) {
            // A processor that has executed something has set its priority.
            var _ = machine.vcpu(0).execute(LOAD, Deadlines.HANG).get();

            assertThat(nicenessOf("nice-vcpu0")).isEqualTo(Vcpu.NICE);
            assertThat(niceness(Path.of("/proc/thread-self"))).isNotEqualTo(Vcpu.NICE);
        }
    }

    private static int nicenessOf(String thread) throws IOException {
        try (Stream<Path> tasks = Files.list(Path.of("/proc/self/task"))) {
            List<Path> all = tasks.filter(task -> stat(task).contains("(" + thread + ")")).toList();
            assertThat(all).hasSize(1);
            return niceness(all.getFirst());
        }
    }

    /// Field 19 of `proc_pid_stat(5)`; the name before it may have spaces.
    private static int niceness(Path task) {
        String afterName = stat(task).replaceFirst("^.*\\) ", "");
        return new Scanner(afterName)
                .tokens()
                .skip(16)
                .mapToInt(Integer::parseInt)
                .findFirst()
                .orElseThrow();
    }

    private static String stat(Path task) {
        try {
            return Files.readString(task.resolve("stat"));
        } catch (IOException _) {
            return "a thread that has ended";
        }
    }
}
