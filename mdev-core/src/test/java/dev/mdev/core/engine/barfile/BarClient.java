package dev.mdev.core.engine.barfile;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.gate.Deadlines;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/// Another process that has a BAR file mapped: `barclient.c`.
final class BarClient implements AutoCloseable {
    private static final Path SOURCES = Path.of("src/test/c");

    private final Process process;
    private final Writer commands;
    private final BufferedReader answers;

    private BarClient(Process process) {
        this.process = process;
        this.commands = process.outputWriter(StandardCharsets.US_ASCII);
        this.answers =
                new BufferedReader(
                        new InputStreamReader(process.getInputStream(), StandardCharsets.US_ASCII));
    }

    /// Compiles the program of a client.
    ///
    /// @return the program
    static Path compile(Path directory) throws Exception {
        return compile(directory, "barclient");
    }

    /// Compiles a program.
    ///
    /// @return the program
    static Path compile(Path directory, String name) throws Exception {
        Path program = directory.resolve(name);
        Process compiler =
                new ProcessBuilder(
                                "cc",
                                "-O1",
                                "-pthread",
                                "-o",
                                program.toString(),
                                SOURCES.resolve(name + ".c").toAbsolutePath().toString())
                        .inheritIO()
                        .start();
        assertThat(compiler.waitFor(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)).isTrue();
        assertThat(compiler.exitValue()).as("%s.c compiles", name).isZero();
        return program;
    }

    static BarClient start(Path program, BarFile file) throws IOException {
        return start(program, ProcessHandle.current().pid(), file.fd(), file.sizeBytes(), false);
    }

    /// With `MADV_HUGEPAGE`, as QEMU maps BARs.
    static BarClient startWithHugePages(Path program, BarFile file) throws IOException {
        return start(program, ProcessHandle.current().pid(), file.fd(), file.sizeBytes(), true);
    }

    /// Of a file of another process.
    static BarClient start(Path program, long pid, int fd, long sizeBytes, boolean huge)
            throws IOException {
        List<String> command =
                new ArrayList<>(
                        List.of(
                                program.toString(),
                                Long.toString(pid),
                                Integer.toString(fd),
                                Long.toString(sizeBytes)));
        if (huge) {
            command.add("huge");
        }
        BarClient client =
                new BarClient(
                        new ProcessBuilder(command)
                                .redirectError(ProcessBuilder.Redirect.INHERIT)
                                .start());
        assertThat(client.answer()).isEqualTo("ready");
        return client;
    }

    long load(long offsetBytes) {
        return Long.parseUnsignedLong(tell("load " + offsetBytes), 16);
    }

    void store(long offsetBytes, long value) {
        assertThat(tell("store %d %x".formatted(offsetBytes, value))).isEqualTo("ok");
    }

    /// Stores `value + i` at the start of the i-th of some pages.
    void fill(long offsetBytes, long npages, long value) {
        assertThat(tell("fill %d %d %x".formatted(offsetBytes, npages, value))).isEqualTo("ok");
    }

    /// How many of the pages do not have what [#fill] stores.
    long mismatches(long offsetBytes, long npages, long value) {
        return Long.parseLong(tell("check %d %d %x".formatted(offsetBytes, npages, value)), 16);
    }

    /// Starts a thread that increments the word at an offset.
    void startCounting(long offsetBytes) {
        assertThat(tell("count " + offsetBytes)).isEqualTo("ok");
    }

    /// Stops the threads.
    ///
    /// @return how often each has incremented its word; at the end, how many got SIGBUS
    List<Long> stopCounting() {
        return List.of(tell("stop").split(" ")).stream()
                .map(number -> Long.parseUnsignedLong(number, 16))
                .toList();
    }

    /// Does something hostile with the descriptor.
    ///
    /// @return `done`, or the error
    String attack(String name) {
        return tell("attack " + name);
    }

    /// A command and its answer.
    String tell(String command) {
        send(command);
        return answer();
    }

    void send(String command) {
        try {
            commands.write(command + "\n");
            commands.flush();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    String answer() {
        CompletableFuture<String> line =
                CompletableFuture.supplyAsync(
                        () -> {
                            try {
                                return String.valueOf(answers.readLine());
                            } catch (IOException e) {
                                throw new UncheckedIOException(e);
                            }
                        },
                        Thread::startVirtualThread);
        try {
            return line.get(Deadlines.HANG_SECONDS, TimeUnit.SECONDS);
        } catch (InterruptedException | ExecutionException | TimeoutException e) {
            throw new AssertionError("the client does not answer", e);
        }
    }

    /// Sends a signal.
    void signal(String name) throws Exception {
        Process kill = new ProcessBuilder("kill", "-" + name, Long.toString(process.pid())).start();
        assertThat(kill.waitFor(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)).isTrue();
    }

    void awaitEnd() throws InterruptedException {
        assertThat(process.waitFor(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)).isTrue();
    }

    /// The state of the process, as `ps` shows it.
    char state() throws IOException {
        return stateIn(Path.of("/proc/%d".formatted(process.pid())));
    }

    private static char stateIn(Path folder) throws IOException {
        String stat = Files.readString(folder.resolve("stat"));
        return stat.charAt(stat.lastIndexOf(')') + 2);
    }

    /// Whether all threads of the process stand still after a signal. They do not stop together.
    boolean isStopped() throws IOException {
        Path threads = Path.of("/proc/%d/task".formatted(process.pid()));
        try (DirectoryStream<Path> all = Files.newDirectoryStream(threads)) {
            for (Path thread : all) {
                if (stateIn(thread) != 'T') {
                    return false;
                }
            }
        }
        return true;
    }

    @Override
    public void close() {
        process.destroyForcibly();
    }
}
