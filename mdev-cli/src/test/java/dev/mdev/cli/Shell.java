package dev.mdev.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.mdev.gate.Deadlines;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/// A shell in which `mdev` is the program of this build.
final class Shell {
    private final Path folder;
    private final Map<String, String> environment = new TreeMap<>();

    /// @param folder its working folder
    Shell(Path folder, String url) throws IOException {
        this.folder = folder;
        Path bin = Files.createDirectories(folder.resolve(".bin"));
        Path program = bin.resolve("mdev");
        Files.writeString(
                program,
                "#!/bin/sh\nexec '%s' -XX:TieredStopAtLevel=1 -XX:+UseSerialGC $MDEV_TEST_JAVA -cp '%s' %s \"$@\"\n"
                        .formatted(
                                Path.of(System.getProperty("java.home"), "bin", "java"),
                                System.getProperty("java.class.path"),
                                Mdev.class.getName()));
        Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwxr-xr-x"));
        environment.put("PATH", bin + ":" + System.getenv("PATH"));
        environment.put("MDEV_URL", url);
        environment.put("HOME", folder.toString());
    }

    /// Adds a variable.
    Shell with(String name, String value) {
        environment.put(name, value);
        return this;
    }

    /// Starts a command; its output and its errors go to one stream.
    Process start(String command) throws IOException {
        // A build in the background may ignore interrupts, and its children inherit that.
        ProcessBuilder builder =
                new ProcessBuilder(
                                List.of(
                                        "/usr/bin/env",
                                        "--default-signal=INT",
                                        "/bin/bash",
                                        "-c",
                                        command))
                        .directory(folder.toFile())
                        .redirectErrorStream(true);
        builder.environment().clear();
        builder.environment().putAll(environment);
        return builder.start();
    }

    /// What a command printed, and its exit code.
    Run run(String command) throws IOException, InterruptedException {
        Process process = start(command);
        process.getOutputStream().close();
        String printed = new String(process.getInputStream().readAllBytes(), UTF_8);
        if (!process.waitFor(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)) {
            process.destroyForcibly();
            throw new AssertionError("it does not end: " + command);
        }
        return new Run(process.exitValue(), printed, "");
    }
}
