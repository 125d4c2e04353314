package dev.mdev.core.engine.barfile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.engine.ScriptedDriver;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import java.io.BufferedReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;

/// A service that dies leaves errors to its clients, and its folder to the next service.
@Tag("slow")
@Timeout(value = 600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class BarServerDeathTest {
    @TempDir Path directory;

    @Test
    void aKilledServiceLeavesErrorsAndItsFolder() throws Exception {
        BarWorld.assumeBarFiles();
        Path program = BarClient.compile(directory);
        Path folder = directory.resolve("a folder");
        Process service = BarServer.start(List.of(), folder);
        try (BufferedReader lines = service.inputReader(StandardCharsets.UTF_8);
                HostMemory memory = HostMemory.withHomes(new OffHeapBackend(), Long.MAX_VALUE)) {
            String[] file = lines.readLine().split(" ", 2);
            try (BarClient client =
                    BarClient.start(
                            program,
                            service.pid(),
                            Integer.parseInt(file[0]),
                            Long.parseLong(file[1]),
                            false)) {
                client.fill(0, 8, 5);
                assertThatThrownBy(
                                () -> BarFileSystem.mount(folder, memory, BarFileOptions.DEFAULT))
                        .isInstanceOfSatisfying(
                                MdevException.class,
                                e -> assertThat(e.errno()).isEqualTo(Errno.EBUSY));

                service.toHandle().destroyForcibly();
                service.waitFor();

                assertThat(client.mismatches(0, 8, 5)).as("pages that it has").isZero();
                assertThat(client.tell("load " + BarWorld.at(ScriptedDriver.DEVICE_PAGES - 1)))
                        .isEqualTo("bus");
                assertThat(BarServer.mountsIn(folder)).isOne();

                try (BarFileSystem _ =
                        BarFileSystem.mount(folder, memory, BarFileOptions.DEFAULT)) {
                    assertThat(BarServer.mountsIn(folder)).isOne();
                    assertThat(client.tell("load " + BarWorld.at(40))).isEqualTo("bus");
                }
                assertThat(BarServer.mountsIn(folder)).isZero();
            }
        } finally {
            service.toHandle().destroyForcibly();
        }
    }
}
