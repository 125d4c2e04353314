package dev.mdev.cli;

import dev.mdev.gate.Deadlines;
import dev.mdev.gate.ServiceLog;

import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

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
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"));
        command.add("--enable-native-access=ALL-UNNAMED");
        // Longer than a busy machine needs: no callback is overdue, or slow.
        command.add("-Dmdev.driver-deadline=60s");
        command.addAll(content());
        command.addAll(List.of("--server.port=0", "--mdev.engine=software"));
        command.add("--mdev.socket-dir=" + folder.resolve("sockets"));
        command.addAll(List.of(options));
        Path log = folder.resolve("service.log");
        Process process =
                new ProcessBuilder(command)
                        .redirectErrorStream(true)
                        .redirectOutput(log.toFile())
                        .start();
        try {
            ServiceLog told = new ServiceLog(process, log, 0);
            ServiceProcess service = new ServiceProcess(process, told.awaitPort());
            service.awaitReady(told);
            return service;
        } catch (Throwable e) {
            process.destroyForcibly().waitFor();
            throw e;
        }
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

    private void awaitReady(ServiceLog log) throws IOException, InterruptedException {
        try (HttpClient client = HttpClient.newHttpClient()) {
            HttpRequest question =
                    HttpRequest.newBuilder(URI.create(url() + "/actuator/health/readiness"))
                            .timeout(Deadlines.HANG)
                            .build();
            log.await(() -> isReady(client, question));
        }
    }

    private static boolean isReady(HttpClient client, HttpRequest question) {
        try {
            return client.send(question, HttpResponse.BodyHandlers.discarding()).statusCode()
                    == 200;
        } catch (IOException e) {
            return false;
        } catch (InterruptedException e) {
            throw new IllegalStateException("interrupted", e);
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
