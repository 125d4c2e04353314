package dev.mdev.host;

import dev.mdev.gate.Deadlines;
import dev.mdev.gate.ServiceLog;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/// The service in a process of its own, on a state directory, which can be killed.
final class ServiceProcess implements AutoCloseable {
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
            ServiceLog told = new ServiceLog(process, log, before);
            ServiceProcess service = new ServiceProcess(process, told.awaitPort());
            told.await(service::isReady);
            return service;
        } catch (Throwable e) {
            process.destroyForcibly().waitFor();
            throw e;
        }
    }

    private static boolean isForJava(String option) {
        return option.startsWith("-D") || option.startsWith("-X");
    }

    private boolean isReady() {
        try {
            return api.get("/actuator/health/readiness").status() == 200;
        } catch (UncheckedIOException e) {
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
