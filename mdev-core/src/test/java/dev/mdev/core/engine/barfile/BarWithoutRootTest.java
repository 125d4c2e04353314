package dev.mdev.core.engine.barfile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.mdev.core.engine.ScriptedDriver;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import java.io.BufferedReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.concurrent.TimeUnit;

/// A service of a user without rights, for whom `fusermount3` mounts.
@Tag("slow")
@Timeout(value = 600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class BarWithoutRootTest {
    /// Each machine has it.
    private static final String NOBODY = "65534";

    /// It may read the classes, wherever they are, and nothing else.
    private static final List<String> AS_NOBODY =
            List.of(
                    "setpriv",
                    "--reuid=" + NOBODY,
                    "--regid=" + NOBODY,
                    "--clear-groups",
                    "--inh-caps=+dac_read_search",
                    "--ambient-caps=+dac_read_search",
                    "--");

    @TempDir Path directory;

    @Test
    void aUserServesPagesAndReplacesTheMountOfAKilledService() throws Exception {
        BarWorld.assumeBarFiles();
        assumeFusermount();
        Path program = BarClient.compile(directory);
        Path folder = Files.createDirectory(directory.resolve("a folder"));
        Files.setAttribute(folder, "unix:uid", Integer.parseInt(NOBODY));
        Files.setAttribute(folder, "unix:gid", Integer.parseInt(NOBODY));
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-xr-x"));

        Process killed = BarServer.start(AS_NOBODY, folder);
        try {
            useWithStores(program, killed);
        } finally {
            killed.toHandle().destroyForcibly();
        }
        killed.waitFor();
        assertThat(BarServer.mountsIn(folder)).as("a dead mount").isOne();

        Process next = BarServer.start(AS_NOBODY, folder);
        try {
            useWithStores(program, next);
            assertThat(BarServer.mountsIn(folder)).isOne();
            next.getOutputStream().close();
            assertThat(next.waitFor(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)).isTrue();
            assertThat(next.exitValue()).isZero();
            assertThat(BarServer.mountsIn(folder)).isZero();
        } finally {
            next.toHandle().destroyForcibly();
        }
    }

    private static void useWithStores(Path program, Process service) throws Exception {
        BufferedReader lines = service.inputReader(StandardCharsets.UTF_8);
        String[] file = lines.readLine().split(" ", 2);
        try (BarClient client =
                BarClient.start(
                        program,
                        service.pid(),
                        Integer.parseInt(file[0]),
                        Long.parseLong(file[1]),
                        false)) {
            client.fill(0, ScriptedDriver.DEVICE_PAGES, 5);
            service.outputWriter(StandardCharsets.UTF_8).append("revoke\n").flush();
            assertThat(lines.readLine()).as("pages left").isEqualTo("0");
            assertThat(client.mismatches(0, ScriptedDriver.DEVICE_PAGES, 5)).isZero();
        }
    }

    private static void assumeFusermount() throws Exception {
        assumeTrue(
                System.getProperty("user.name").equals("root"),
                "no root: the tests of BAR files use fusermount3 themselves");
        assumeTrue(
                MountRights.ofThisProcess().helper().isPresent(),
                "fusermount3 (package fuse3) is not installed");
    }
}
