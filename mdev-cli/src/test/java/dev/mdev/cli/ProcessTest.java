package dev.mdev.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.net.httpserver.HttpServer;

import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// The program as a process: its script, its locale, signals and pipes.
@Tag("slow")
@EnabledOnOs(value = OS.LINUX, disabledReason = "the script and the shell are those of Linux")
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ProcessTest {
    private static final String UUID = "11111111-1111-4111-8111-111111111111";
    private static final String ITEMS =
            "{\"items\":[%s]}"
                    .formatted(
                            Stream.generate(() ->
                                            "{\"uuid\":\"I\",\"state\":{\"activity\":\"active\"}}")
                                    .limit(20_000)
                                    .collect(Collectors.joining(",")));

    @TempDir private Path folder = Path.of("");

    @Test
    void aReaderThatGoesAwayEndsTheVerbInSilence() throws Exception {
        try (Stub stub = new Stub()) {
            stub.onGet("mdevs", ITEMS);
            Run run =
                    new Shell(folder, stub.url()).run("mdev list | head -1; echo ${PIPESTATUS[0]}");
            assertThat(run.out().lines())
                    .satisfiesExactly(
                            line -> assertThat(line).startsWith("UUID"),
                            line -> assertThat(line).isEqualTo("0"));
        }
    }

    @Test
    void anOutputThatIsFullIsAFailure() throws Exception {
        try (Stub stub = new Stub()) {
            stub.onGet("mdevs", ITEMS);
            Run run = new Shell(folder, stub.url()).run("mdev list > /dev/full");
            assertThat(run.code()).isEqualTo(1);
            assertThat(run.out().lines())
                    .singleElement()
                    .asString()
                    .startsWith("mdev: cannot write the output: ");
        }
    }

    @Test
    void wordsAreTheSameInEachLocale() throws Exception {
        try (Stub stub = new Stub()) {
            stub.onGet(
                    "mdevs", "{\"items\":[{\"uuid\":\"I\",\"state\":{\"activity\":\"active\"}}]}");
            stub.onGet("mdevs/" + UUID, "{\"uuid\":\"I\",\"faults\":1234567}");
            Shell shell = new Shell(folder, stub.url());
            String commands =
                    "mdev list; mdev show %s -o wide; mdev parents --help; mdev list -o yaml; mdev lIst"
                            .formatted(UUID);
            String expected = shell.run(commands).out();
            assertThat(expected).contains("active", "1234567", "similar: list");
            for (String locale :
                    List.of("-Duser.language=tr -Duser.country=TR", "-Duser.language=ar")) {
                assertThat(shell.with("MDEV_TEST_JAVA", locale).run(commands).out())
                        .as(locale)
                        .isEqualTo(expected);
            }
        }
    }

    @Test
    void namesAreTheSameInEachLocale() throws Exception {
        try (Stub stub = new Stub()) {
            stub.on("GET /api/v1/mdevs/" + UUID + "/picture", 200, "image/png", "picture")
                    .onGet("machines/gr%C3%BCn", "{}");
            Shell shell =
                    installed(folder, stub.url()).with("MDEV_CACHE", "no").with("LC_ALL", "C");
            Run run =
                    shell.run(
                            """
                            name=$(printf 'gr\\303\\274n')
                            app/mdev machines show "$name" -o name
                            app/mdev picture %s "$name.png" -q && cat "$name.png"
                            """
                                    .formatted(UUID));
            assertThat(run.out()).isEqualTo("gr\u00fcn\npicture");
        }
    }

    @Test
    void anInterruptOfASaveLeavesNoFile() throws Exception {
        CountDownLatch sent = new CountDownLatch(1);
        try (RawServer server =
                new RawServer((to, end) -> {
                    to.write(RawServer.BEGINNING);
                    to.flush();
                    sent.countDown();
                    end.await();
                })) {
            Process save =
                    new Shell(folder, server.url())
                            .start("exec mdev state save %s gpu.state".formatted(UUID));
            await(sent);
            assertThat(interrupt(save)).isEmpty();
            assertThat(save.exitValue()).isEqualTo(130);
            try (Stream<Path> files = Files.list(folder)) {
                assertThat(files.filter(Files::isRegularFile)).isEmpty();
            }
        }
    }

    @Test
    void anInterruptOfARunStopsTheProgramInTheGuest() throws Exception {
        CountDownLatch started = new CountDownLatch(1);
        CountDownLatch stopped = new CountDownLatch(1);
        try (Gate service = new Gate(started, stopped)) {
            Process run =
                    new Shell(folder, service.url())
                            .start("exec mdev run vm1 - <<< '{\"steps\":[]}'");
            await(started);
            interrupt(run);
            assertThat(run.exitValue()).isEqualTo(130);
            await(stopped);
        }
    }

    /// A service whose program runs until it is interrupted.
    private record Gate(HttpServer server) implements AutoCloseable {
        Gate(CountDownLatch started, CountDownLatch stopped) throws IOException {
            this(HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0));
            server.setExecutor(Thread::startVirtualThread);
            server.createContext(
                    "/api/v1/machines/vm1/vcpus/0/programs",
                    exchange -> {
                        started.countDown();
                        awaitQuietly(stopped);
                        exchange.close();
                    });
            server.createContext(
                    "/api/v1/machines/vm1/vcpus/0/interrupt",
                    exchange -> {
                        exchange.sendResponseHeaders(204, -1);
                        exchange.close();
                        stopped.countDown();
                    });
            server.start();
        }

        String url() {
            return "http://127.0.0.1:" + server.getAddress().getPort();
        }

        @Override
        public void close() {
            server.stop(0);
        }
    }

    private static void awaitQuietly(CountDownLatch latch) {
        try {
            await(latch);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void await(CountDownLatch latch) throws InterruptedException {
        assertThat(latch.await(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)).isTrue();
    }

    /// Sends what Ctrl-C sends, and returns what the process printed.
    private static String interrupt(Process process) throws Exception {
        assertThat(
                        new ProcessBuilder("/bin/kill", "-INT", Long.toString(process.pid()))
                                .inheritIO()
                                .start()
                                .waitFor())
                .isZero();
        try (InputStream out = process.getInputStream()) {
            String printed = new String(out.readAllBytes(), UTF_8);
            assertThat(process.waitFor(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)).isTrue();
            return printed;
        }
    }

    @Test
    void aWatchEndsAtAnInterruptWithWhatItHasSeen() throws Exception {
        try (Stub stub = new Stub()) {
            stub.on(
                    "GET /api/v1/events?after=0",
                    200,
                    "text/event-stream",
                    "id:e:1\ndata:{\"id\":1,\"kind\":\"parent_arrived\"}\n\n");
            stub.on("GET /api/v1/events?after=0", 200, "text/event-stream", ":\n\n");
            Process watch = new Shell(folder, stub.url()).start("exec mdev watch --after 0");
            String first = firstLine(watch);
            assertThat(first).contains("parent_arrived");
            assertThat(interrupt(watch)).isEmpty();
            assertThat(watch.exitValue()).isEqualTo(130);
        }
    }

    private static String firstLine(Process process) throws IOException {
        StringBuilder line = new StringBuilder();
        int one;
        while ((one = process.getInputStream().read()) >= 0 && one != '\n') {
            line.append((char) one);
        }
        return line.toString();
    }

    @Test
    void theCompletionScriptsAreValidAndKnowTheVerbs() throws Exception {
        Shell shell = new Shell(folder, "http://127.0.0.1:1");
        Run run =
                shell.run(
                        """
                        set -e
                        mdev completion bash > c.bash && bash -n c.bash && . ./c.bash
                        complete -p mdev
                        compopt() { :; }
                        COMP_WORDS=(mdev att) COMP_CWORD=1
                        _complete_mdev
                        echo "${COMPREPLY[*]}"
                        """);
        assertThat(run.code()).as(run.out()).isZero();
        assertThat(run.out()).contains("mdev\n").endsWith("attach\n");
    }

    @Test
    void theManualPageHasEachVerb() {
        List<String> page = Run.of("", "man").requireOk().out().lines().toList();
        assertThat(page)
                .contains(".TH MDEV 1", ".SS show UUID", ".SS state save UUID FILE")
                .contains(".B MDEV_TOKEN", ".B MDEV_SOCKET", ".B JAVA_OPTS")
                .allMatch(line ->
                        !line.startsWith(".") || line.matches("\\.(TH|SH|SS|TP|B|br)( .*)?"));
    }

    /// `bin/mdev` as it is installed: beside its jar.
    private Shell installed(Path home, String url) throws IOException {
        Path program = Files.createDirectories(home.resolve("app")).resolve("mdev");
        Files.copy(Path.of("..", "bin", "mdev"), program, StandardCopyOption.COPY_ATTRIBUTES);
        Manifest manifest = new Manifest();
        manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
        manifest.getMainAttributes().put(Attributes.Name.CLASS_PATH, classPath());
        try (JarOutputStream jar =
                new JarOutputStream(
                        Files.newOutputStream(program.resolveSibling("mdev.jar")), manifest)) {
            jar.flush();
        }
        return new Shell(home, url).with("JAVA_HOME", System.getProperty("java.home"));
    }

    private static String classPath() {
        return Stream.of(System.getProperty("java.class.path").split(":"))
                .map(entry -> Path.of(entry).toAbsolutePath().toUri().toString())
                .collect(Collectors.joining(" "));
    }

    @Test
    void theScriptMakesACacheOnceAndUsesIt() throws Exception {
        Path home = Files.createDirectories(folder.resolve("a home"));
        try (Stub stub = new Stub()) {
            stub.onGet("machines", "{\"items\":[{\"name\":\"vm1\"}]}");
            Shell shell = installed(home, stub.url());
            for (int i = 0; i < 2; i++) {
                Run run = shell.run("app/mdev machines -o name");
                assertThat(run.out()).isEqualTo("vm1\n");
                assertThat(run.code()).isZero();
            }
            Path cache = home.resolve(".cache/mdev");
            try (Stream<Path> files = Files.list(cache)) {
                assertThat(files.map(file -> file.getFileName().toString()))
                        .singleElement()
                        .asString()
                        .endsWith(".aot");
            }
            assertThat(Files.getPosixFilePermissions(cache)).hasSize(3);
        }
    }

    /// `script` gives a command a terminal, here one of six lines.
    private Run onATerminal(Stub stub, String command) throws Exception {
        assumeTrue(
                Files.isExecutable(Path.of("/usr/bin/script")),
                "script (package bsdutils) is not installed");
        return installed(folder, stub.url())
                .with("MDEV_CACHE", "no")
                .with("TERM", "xterm")
                .run("script -qec 'stty rows 6 cols 80; %s' /dev/null".formatted(command));
    }

    @Test
    void onATerminalTopShowsWhatFits() throws Exception {
        String mdevs =
                Stream.generate(() -> "{\"uuid\":\"I\",\"state\":{\"active\":true}}")
                        .limit(20)
                        .collect(Collectors.joining(","));
        try (Stub stub = new Stub()) {
            stub.onGet("mdevs", "{\"items\":[%s]}".formatted(mdevs));
            Run run = onATerminal(stub, "app/mdev top -n 1 -i 1ms");
            assertThat(run.code()).as(run.out()).isZero();
            assertThat(run.out())
                    .contains("\u001b[H\u001b[2J20 active devices, the busiest 3 here");
            assertThat(run.out().lines().filter(line -> line.startsWith("I "))).hasSize(3);
        }
    }

    @Test
    void onATerminalWatchColoursTroubles() throws Exception {
        try (Stub stub = new Stub()) {
            stub.on(
                    "GET /api/v1/events?after=0",
                    200,
                    "text/event-stream",
                    "id:e:1\ndata:{\"id\":1,\"kind\":\"mdev_lost\"}\n\n");
            Run run = onATerminal(stub, "app/mdev watch --after 0 --count 1");
            assertThat(run.code()).as(run.out()).isZero();
            assertThat(run.out()).contains("\u001b[31mmdev_lost\u001b[0m");
        }
    }

    @Test
    void theScriptRunsWithoutACacheAndPassesTheExitCodeOn() throws Exception {
        Shell shell =
                installed(folder, "http://127.0.0.1:1")
                        .with("MDEV_CACHE", "no")
                        .with("HOME", "/nonexistent");
        Run run = shell.run("app/mdev show " + UUID);
        assertThat(run.code()).isEqualTo(6);
        assertThat(run.out()).startsWith("mdev: cannot connect to http://127.0.0.1:1");
        assertThat(shell.run("rm app/mdev.jar; app/mdev list").out())
                .startsWith("mdev: mdev-cli is not built");
    }
}
