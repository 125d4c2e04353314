package dev.mdev.cli;

import dev.mdev.gate.Deadlines;

import java.io.File;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/// The host service in a process of its own.
final class ServiceProcess implements AutoCloseable {
    private static final String MAIN = "dev.mdev.host.MdevHostApplication";

    private final Process process;
    private final int port;

    private ServiceProcess(Process process, int port) {
        this.process = process;
        this.port = port;
    }

    /// Starts the service and waits until it answers.
    ///
    /// @param folder the folder of its log, and of its sockets in `sockets`
    /// @param options of the service
    static ServiceProcess start(Path folder, String... options)
            throws IOException, InterruptedException {
        int port;
        try (ServerSocket free = new ServerSocket(0)) {
            port = free.getLocalPort();
        }
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"));
        command.add("--enable-native-access=ALL-UNNAMED");
        command.addAll(content());
        command.addAll(List.of("--server.port=" + port, "--mdev.engine=software"));
        command.add("--mdev.socket-dir=" + folder.resolve("sockets"));
        command.addAll(List.of(options));
        Path log = folder.resolve("service.log");
        Process process =
                new ProcessBuilder(command)
                        .redirectErrorStream(true)
                        .redirectOutput(log.toFile())
                        .start();
        ServiceProcess service = new ServiceProcess(process, port);
        try {
            service.awaitReady(log);
        } catch (Throwable e) {
            service.close();
            throw e;
        }
        return service;
    }

    /// The service's classes, or the jar that Spring Boot made of them, whichever the build has.
    private static List<String> content() {
        String classPath = System.getProperty("java.class.path");
        if (ServiceProcess.class.getClassLoader().getResource(MAIN.replace('.', '/') + ".class")
                != null) {
            return List.of("-cp", classPath, MAIN);
        }
        for (String entry : classPath.split(File.pathSeparator, -1)) {
            if (Path.of(entry).getFileName().toString().matches("host-service-.*\\.jar")) {
                return List.of("-jar", entry);
            }
        }
        throw new AssertionError("no host service on the class path");
    }

    private void awaitReady(Path log) throws IOException, InterruptedException {
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        try (HttpClient client = HttpClient.newHttpClient()) {
            HttpRequest question =
                    HttpRequest.newBuilder(URI.create(url() + "/actuator/health/readiness"))
                            .timeout(Deadlines.HANG)
                            .build();
            while (!isReady(client, question)) {
                if (process.waitFor(50, TimeUnit.MILLISECONDS) || System.nanoTime() - end > 0) {
                    throw new AssertionError(
                            "the service did not start:\n" + Files.readString(log));
                }
            }
        }
    }

    private static boolean isReady(HttpClient client, HttpRequest question)
            throws InterruptedException {
        try {
            return client.send(question, HttpResponse.BodyHandlers.discarding()).statusCode()
                    == 200;
        } catch (IOException e) {
            return false;
        }
    }

    String url() {
        return "http://127.0.0.1:" + port;
    }

    @Override
    public void close() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }
}
