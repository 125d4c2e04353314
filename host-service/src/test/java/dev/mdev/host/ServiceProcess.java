package dev.mdev.host;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import dev.mdev.gate.Deadlines;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// The service in a process of its own, on a state directory, which can be killed.
final class ServiceProcess implements AutoCloseable {
    private static final Duration START = Deadlines.HANG;

    /// The line of the log that names the port.
    private static final Pattern READY =
            Pattern.compile("is ready: .* at 127\\.0\\.0\\.1:([0-9]+),");

    private final Process process;
    private final Api api;

    private final int port;

    private ServiceProcess(Process process, int port) {
        this.process = process;
        this.port = port;
        this.api = new Api(port);
    }

    /// The content of the process: the service, and drivers of the tests.
    static void main(String[] arguments) {
        MdevHostApplication.run(arguments, MdevHostApplication.class, HostileDriver.Beans.class);
    }

    /// Starts the service and waits until it answers.
    ///
    /// @param folder the folder of its state and its log
    /// @param options of the service, or (`-D`, `-X`) of the Java runtime
    static ServiceProcess start(Path folder, String... options)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"));
        command.add("--enable-native-access=ALL-UNNAMED");
        // Longer than a busy machine needs; an option of the service counts before it.
        command.add("-Dmdev.driver-deadline=60s");
        Stream.of(options).filter(ServiceProcess::isForJava).forEach(command::add);
        command.addAll(List.of("-cp", System.getProperty("java.class.path")));
        command.add(ServiceProcess.class.getName());
        command.add("--server.port=0");
        command.add("--mdev.state-dir=" + folder.resolve("state"));
        command.add("--mdev.drivers.gpu-sample.vram-mib=32");
        Stream.of(options).filter(it -> !isForJava(it)).forEach(command::add);
        Path log = folder.resolve("service.log");
        long before = Files.exists(log) ? Files.size(log) : 0;
        Process process =
                new ProcessBuilder(command)
                        .redirectErrorStream(true)
                        .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
                        .start();
        try {
            ServiceProcess service = new ServiceProcess(process, awaitPort(process, log, before));
            service.awaitReady(log);
            return service;
        } catch (Throwable e) {
            process.destroyForcibly().waitFor();
            throw e;
        }
    }

    private static boolean isForJava(String option) {
        return option.startsWith("-D") || option.startsWith("-X");
    }

    /// @param before the length of the log before the start, in bytes
    private static int awaitPort(Process process, Path log, long before)
            throws IOException, InterruptedException {
        long end = System.nanoTime() + START.toNanos();
        while (true) {
            boolean hasEnded = process.waitFor(100, TimeUnit.MILLISECONDS);
            byte[] bytes = Files.readAllBytes(log);
            String text = new String(bytes, (int) before, bytes.length - (int) before, ISO_8859_1);
            Matcher ready = READY.matcher(text);
            if (ready.find()) {
                return Integer.parseInt(ready.group(1));
            }
            if (hasEnded || System.nanoTime() - end > 0) {
                throw notStarted(log);
            }
        }
    }

    private static AssertionError notStarted(Path log) throws IOException {
        return new AssertionError("the service did not start:\n" + Files.readString(log));
    }

    private void awaitReady(Path log) throws IOException, InterruptedException {
        long end = System.nanoTime() + START.toNanos();
        while (!isReady()) {
            if (process.waitFor(100, TimeUnit.MILLISECONDS) || System.nanoTime() - end > 0) {
                throw notStarted(log);
            }
        }
    }

    private boolean isReady() {
        try {
            return api.get("/actuator/health/readiness").status() == 200;
        } catch (java.io.UncheckedIOException e) {
            return false;
        }
    }

    int port() {
        return port;
    }

    Api api() {
        return api;
    }

    /// Ends the process as a crash does, at any point (`kill -9`), and waits until it is gone.
    void kill() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }

    /// Ends the process as an operator does.
    void stop() throws InterruptedException {
        process.destroy();
        var _ = awaitEnd();
    }

    /// Waits until the process has ended.
    ///
    /// @return its status
    int awaitEnd() throws InterruptedException {
        if (!process.waitFor(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)) {
            throw new AssertionError("the service does not end");
        }
        return process.exitValue();
    }

    @Override
    public void close() throws InterruptedException {
        api.close();
        kill();
    }
}
