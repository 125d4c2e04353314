package dev.mdev.core.engine.barfile;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.engine.ScriptedDriver;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/// A process that serves one BAR file until it is killed, or its input ends: prints its descriptor
/// and its size, and after each line of input, with which it revokes all pages, how many are left.
/// Argument: the folder.
final class BarServer {
    private BarServer() {}

    /// Starts one.
    ///
    /// @param before words before the command
    static Process start(List<String> before, Path folder) throws IOException {
        List<String> command = new ArrayList<>(before);
        command.addAll(
                List.of(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-ea",
                        "-XX:TieredStopAtLevel=1",
                        "--enable-native-access=ALL-UNNAMED",
                        "-cp",
                        System.getProperty("java.class.path"),
                        BarServer.class.getName(),
                        folder.toString()));
        return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    }

    /// The mounts that are in a folder.
    static long mountsIn(Path folder) throws IOException {
        String point = folder.toRealPath().resolve("bars").toString().replace(" ", "\\040");
        return Files.readAllLines(Path.of("/proc/self/mountinfo")).stream()
                .filter(line -> line.contains(" " + point + " "))
                .count();
    }

    public static void main(String[] args) throws Exception {
        HostMemory memory = HostMemory.withHomes(new OffHeapBackend(), Long.MAX_VALUE);
        BarFileSystem fs = BarFileSystem.mount(Path.of(args[0]), memory, BarFileOptions.DEFAULT);
        MdevBus bus = new MdevBus(memory, Duration.ofSeconds(60), MdevObserver.NONE);
        bus.addDriver(new ScriptedDriver(), Map.of());
        MdevAssignment assignment =
                bus.create(UUID.randomUUID(), ScriptedDriver.PARENT, ScriptedDriver.TYPE)
                        .assign("client");
        BarFile file = fs.open(assignment, assignment.mdev().region(ScriptedDriver.LAZY_BAR));
        System.out.println(file.fd() + " " + file.sizeBytes());
        try (BufferedReader input = new BufferedReader(new InputStreamReader(System.in, UTF_8))) {
            while (input.readLine() != null) {
                assignment.mdev().revoke(0, 0, ScriptedDriver.DEVICE_PAGES);
                System.out.println(file.residentPages());
            }
        }
        file.close();
        assignment.close();
        fs.close();
    }
}
