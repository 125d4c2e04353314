package dev.mdev.core.kernelbus;

import static org.assertj.core.api.Assertions.assertThat;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.mdev.gate.OnlyInBox;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Timeout;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/// The contract on a real kernel, with its sample drivers.
@OnlyInBox
@Timeout(value = 1800, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class RealKernelBusTest extends KernelBusContract {
    private final KernelFiles files = new SystemFiles();

    @BeforeAll
    static void loadModules() {
        for (String module : List.of("vfio_iommu_type1", "mtty", "mdpy", "mbochs")) {
            modprobe(module);
        }
    }

    private static void modprobe(String... arguments) {
        List<String> command = new ArrayList<>(List.of("modprobe"));
        command.addAll(List.of(arguments));
        try {
            Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
            String output = new String(process.getInputStream().readAllBytes(), UTF_8);
            assertThat(process.waitFor()).as("%s: %s", command, output).isZero();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    @Override
    KernelFiles files() {
        return files;
    }

    @Override
    AutoCloseable use(UUID uuid) {
        return new VfioProgram(status(uuid).node().orElseThrow().vfio().orElseThrow(), uuid);
    }

    @Override
    void loadModule(String module) {
        modprobe(module);
    }

    @Override
    void unloadModule(String module) {
        modprobe("-r", module);
    }

    /// This process opens the devices.
    @Override
    String user() {
        return "(pid %d)".formatted(ProcessHandle.current().pid());
    }
}
