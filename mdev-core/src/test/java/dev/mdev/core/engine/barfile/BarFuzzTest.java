package dev.mdev.core.engine.barfile;

import static dev.mdev.core.engine.ScriptedDriver.DEVICE_PAGES;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.device.MdevAssignment;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.io.BufferedReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;

/// Several processes make random system calls with the descriptor of a file, while the driver
/// revokes, reads and writes its pages: nobody waits for ever, and the device beside it loses no
/// store. `mdev.fuse.fuzz.calls` says how many calls each process makes.
@Timeout(value = 3600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class BarFuzzTest extends BarWorld {
    private static final int CALLS = Integer.getInteger("mdev.fuse.fuzz.calls", 150);
    private static final int PROCESSES = 3;
    private static final long SEED = Long.getLong("mdev.seed", System.nanoTime());

    @Test
    void randomSystemCallsHangNothingAndLeaveOtherDevicesAlone() throws Exception {
        MdevAssignment victim = assign();
        BarClient bystander = client(open(victim));
        bystander.fill(at(4), DEVICE_PAGES - 4, 0x77);
        bystander.startCounting(at(1));
        bystander.startCounting(at(2));
        MdevAssignment assignment = assign();
        BarFile file = open(assignment);

        List<Process> hostile = startHostile(file);
        useWhileTheyRun(assignment, hostile);

        for (Process process : hostile) {
            assertThat(process.waitFor(Deadlines.HANG_SECONDS, TimeUnit.SECONDS))
                    .as("seed=%d: a process ends", SEED)
                    .isTrue();
            try (BufferedReader output = process.inputReader(StandardCharsets.US_ASCII)) {
                assertThat(output.readLine()).as("seed=%d", SEED).isEqualTo("done");
            }
        }
        List<Long> counted = bystander.stopCounting();
        assertThat(counted.getLast()).as("accesses that got SIGBUS").isZero();
        assertThat(bystander.load(at(1))).as("seed=%d", SEED).isEqualTo(counted.get(0));
        assertThat(bystander.load(at(2))).as("seed=%d", SEED).isEqualTo(counted.get(1));
        assertThat(bystander.mismatches(at(4), DEVICE_PAGES - 4, 0x77)).isZero();
        assertUsable(assignment, file);
    }

    /// The device itself works on, in this file and in its next one.
    private void assertUsable(MdevAssignment assignment, BarFile file) throws Exception {
        BarClient next = client(file);
        next.fill(0, DEVICE_PAGES, 0x51);
        assignment.mdev().revoke(0, 0, DEVICE_PAGES);
        assertThat(file.residentPages()).isZero();
        for (int page = 0; page < DEVICE_PAGES; page++) {
            assertThat(deviceLong(1, page))
                    .as("seed=%d page %d", SEED, page)
                    .isEqualTo(0x51 + page);
        }
        file.close();
        assertThat(client(open(assignment)).mismatches(0, DEVICE_PAGES, 0x51)).isZero();
    }

    private List<Process> startHostile(BarFile file) throws Exception {
        Path fuzzer = BarClient.compile(directory, "barfuzz");
        Random random = new Random(SEED);
        List<Process> started = new ArrayList<>();
        for (int i = 0; i < PROCESSES; i++) {
            Process process =
                    new ProcessBuilder(
                                    fuzzer.toString(),
                                    Long.toString(ProcessHandle.current().pid()),
                                    Integer.toString(file.fd()),
                                    Long.toString(file.sizeBytes()),
                                    Integer.toString(random.nextInt()),
                                    Integer.toString(CALLS))
                            .redirectError(ProcessBuilder.Redirect.INHERIT)
                            .start();
            later(process::destroyForcibly);
            started.add(process);
        }
        return started;
    }

    /// As a driver does that never rests.
    private void useWhileTheyRun(MdevAssignment assignment, List<Process> hostile) {
        Random random = new Random(SEED);
        while (hostile.stream().anyMatch(Process::isAlive)) {
            int page = random.nextInt((int) DEVICE_PAGES - 4);
            assignment.mdev().revoke(0, page, 1 + random.nextInt(4));
            setDeviceLong(1, page, random.nextLong());
            var _ = deviceLong(1, random.nextInt((int) DEVICE_PAGES));
        }
    }
}
