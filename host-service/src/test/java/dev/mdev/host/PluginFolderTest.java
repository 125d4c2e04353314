package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.core.loader.DriverJars;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import tools.jackson.databind.JsonNode;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;

/// A service whose plugin folder is full of bad jars, and with a driver of its own that hangs: it
/// starts, names each, works with the good driver, loads what comes later, and ends.
@Tag("slow")
class PluginFolderTest {
    private static final String EXIT_OPTION = "-XX:+ExitOnOutOfMemoryError";
    private static final String EMPTY = "return List.of();";
    private static final String FOREVER =
            "while (true) { try { Thread.sleep(1000000); } catch (InterruptedException e) {} }";

    @TempDir Path folder;

    /// The words that tell of a bad jar, by the name under which it is told.
    private final Map<String, String> bad = new TreeMap<>();

    @Test
    void badJarsAndDriversThatHangKeepNeitherTheStartNorTheEnd() throws Exception {
        DriverJars jars =
                new DriverJars(
                        Files.createDirectory(folder.resolve("plugins")),
                        Files.createDirectory(folder.resolve("sources")));
        putFiles(jars);
        putCode(jars);
        putHanging(jars);
        jars.jar("z-good.jar", "Good", "good", "", DriverJars.goodProbe("card0"));
        bad.put(UselessDrivers.Blocked.class.getName(), "has not returned");
        assertThat(bad).hasSizeGreaterThan(24 + 4);

        try (ServiceProcess service =
                ServiceProcess.start(
                        folder,
                        "--mdev.plugin-dir=" + jars.folder(),
                        "--mdev.driver-deadline=3s",
                        "--test.blocked=yes")) {
            Api api = service.api();
            requireNamed(api);
            assertThat(api.namesOf("/api/v1/parents", "/name")).contains("card0", "gpu0");
            api.createMdev("gpu0", "gpu-sample-16m");
            assertThat(api.get("/api/v1/doctor").body().at("/overdue").toString())
                    .contains("driver=blocked probe", "driver=sleeps probe", "driver=spins probe");
            for (String driver : List.of("blocked", "sleeps", "spins")) {
                awaitOverdue(api, "drivers/" + driver);
            }
            loadLater(api, jars);
            service.stop();
        }
    }

    private static void awaitOverdue(Api api, String subject) {
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        String query = "/api/v1/events?kind=callback_overdue&limit=1000";
        while (!api.namesOf(query, "/subject").contains(subject)) {
            assertThat(System.nanoTime() - end).as("no event of %s", subject).isNegative();
        }
    }

    /// The jar that the commands of the driver guide make: `DriverTemplateTest` runs them.
    @Test
    void theDriverOfTheTemplateIsLoadedAndItsDeviceWorks() throws Exception {
        DriverJars jars =
                new DriverJars(
                        Files.createDirectory(folder.resolve("plugins")),
                        Files.createDirectory(folder.resolve("sources")));
        Path template = Path.of("..", "driver-template", "src", "main");
        Path classes =
                jars.compile(
                        template.resolve("java/com/example/driver/MyDriver.java"), "my-driver.jar");
        Path named = template.resolve("resources/META-INF/services/dev.mdev.api.ParentDriver");
        jars.pack("my-driver.jar", classes, Files.readString(named).strip());
        jars.manifest("my-driver.jar", "Mdev-Api-Level: 1");

        try (ServiceProcess service =
                ServiceProcess.start(
                        folder, "--mdev.engine=software", "--mdev.plugin-dir=" + jars.folder())) {
            Api api = service.api();
            UUID mdev = api.createMdev("my0", "my-4");
            api.createMachine("vm1", mdev);
            String program =
                    """
                    {"steps":[{"op":"write","at":{"mdev":"%1$s","bar":0},"count":4,"stride":4096,"value":7},
                    {"op":"check","at":{"mdev":"%1$s","bar":0},"count":4,"stride":4096,"value":7}]}\
                    """
                            .formatted(mdev);

            Answer result = api.run("vm1", program).requireStatus(200);

            assertThat(result.at("/end")).isEqualTo("completed");
            assertThat(result.numberAt("/steps/1/mismatches")).isZero();
            assertThat(result.numberAt("/devices/0/faults")).isEqualTo(4);
        }
    }

    /// With the option that the scripts give to Java: a service without memory would answer some
    /// requests and not others. Whoever started it starts it again.
    @Test
    void aDriverThatFillsTheHeapEndsTheProcess() throws Exception {
        assertThat(Files.readString(Path.of("..", "bin", "mdev-host"))).contains(EXIT_OPTION);
        DriverJars jars =
                new DriverJars(
                        Files.createDirectory(folder.resolve("plugins")),
                        Files.createDirectory(folder.resolve("sources")));
        try (ServiceProcess service =
                ServiceProcess.start(
                        folder, EXIT_OPTION, "-Xmx256m", "--mdev.plugin-dir=" + jars.folder())) {
            put(
                    jars,
                    "greedy",
                    "Greedy",
                    "greedy",
                    "",
                    "List<byte[]> all = new ArrayList<>();"
                            + " while (true) { all.add(new byte[1 << 20]); }");

            assertThatThrownBy(() -> service.api().post("/api/v1/drivers", ""))
                    .isInstanceOf(UncheckedIOException.class);

            assertThat(service.awaitEnd()).isEqualTo(3);
        }
    }

    /// Jars that come, change and leave while the service runs.
    private void loadLater(Api api, DriverJars jars) throws IOException {
        jars.jar("z-late.jar", "Late", "late", "", DriverJars.goodProbe("card1"));
        Files.writeString(jars.folder().resolve("z-later.jar"), "not a jar");
        Files.delete(jars.folder().resolve("z-good.jar"));
        jars.jar("z-good.jar", "Better", "good", "", DriverJars.goodProbe("card2"));
        Files.delete(jars.folder().resolve("text.jar"));

        Answer loaded = api.post("/api/v1/drivers", "").requireStatus(200);

        Map<String, String> told = new TreeMap<>();
        for (JsonNode driver : loaded.body().at("/items")) {
            told.merge(
                    driver.at("/source").asString(), driver.at("/trouble").asString(), (a, _) -> a);
        }
        assertThat(told).containsEntry("z-late.jar", "").doesNotContainKey("text.jar");
        assertThat(told.get("z-later.jar")).contains("not a driver jar");
        assertThat(told.get("z-good.jar")).contains("changed after it was loaded");
        assertThat(told.get("l-sleeps.jar")).contains("has not returned");
        assertThat(api.namesOf("/api/v1/parents", "/name"))
                .contains("card0", "card1", "gpu0")
                .doesNotContain("card2");
        assertThat(api.get("/api/v1/drivers").text()).isEqualTo(loaded.text());
        assertThat(api.get("/api/v1/doctor").text()).contains("z-later.jar");
        api.delete("/api/v1/parents/card1").requireStatus(204);
        Answer found = api.post("/api/v1/parents", "{\"driver\": \"late\"}").requireStatus(200);
        assertThat(found.at("/items/0/name")).isEqualTo("card1");
    }

    private void requireNamed(Api api) throws IOException {
        Map<String, String> told = driversOf(api);
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        // On a slow machine, code that returns is late, too.
        while (!isSettled(told) && System.nanoTime() - end < 0) {
            told = driversOf(api);
        }
        String log = Files.readString(folder.resolve("service.log"));
        assertThat(told).containsKeys(bad.keySet().toArray(String[]::new));
        told.forEach((name, trouble) ->
                assertThat(trouble).as(name).contains(bad.getOrDefault(name, "")));
        for (String name : bad.keySet()) {
            assertThat(log.lines())
                    .anyMatch(line -> line.contains("left out") && line.contains(name));
        }
        assertThat(log).contains("driver hostile of e-own.jar is left out");
        assertThat(told).containsEntry("good", "").containsEntry("gpu-sample", "");
    }

    private static Map<String, String> driversOf(Api api) {
        Map<String, String> told = new TreeMap<>();
        for (JsonNode driver : api.get("/api/v1/doctor").requireStatus(200).body().at("/drivers")) {
            told.put(driver.at("/name").asString(), driver.at("/trouble").asString());
        }
        return told;
    }

    private boolean isSettled(Map<String, String> told) {
        return told.keySet().containsAll(bad.keySet())
                && told.keySet().containsAll(List.of("good", "gpu-sample"));
    }

    /// Jars whose files are wrong.
    private void putFiles(DriverJars jars) throws Exception {
        Path plugins = jars.folder();
        Path none = Files.createDirectory(jars.sources().resolve("none"));
        Files.writeString(plugins.resolve("text.jar"), "not a jar");
        Files.write(plugins.resolve("empty.jar"), new byte[0]);
        Files.createDirectory(plugins.resolve("folder.jar"));
        Files.createSymbolicLink(plugins.resolve("nowhere.jar"), Path.of("gone"));
        jars.pack("whole.jar", none, "no.Such");
        byte[] whole = Files.readAllBytes(plugins.resolve("whole.jar"));
        Files.write(plugins.resolve("cut.jar"), Arrays.copyOf(whole, whole.length / 2));
        Files.delete(plugins.resolve("whole.jar"));
        assertThat(
                        new ProcessBuilder("mkfifo", plugins.resolve("pipe.jar").toString())
                                .start()
                                .waitFor())
                .isZero();
        for (String file :
                new String[] {
                    "text.jar", "empty.jar", "folder.jar", "nowhere.jar", "cut.jar", "pipe.jar"
                }) {
            bad.put(file, "not a driver jar");
        }
        jars.pack("missing.jar", none, "no.such.Driver");
        bad.put("missing.jar", "no.such.Driver");
        jars.pack("string.jar", none, "java.lang.String");
        bad.put("string.jar", "names no driver");
        jars.pack("gpu.jar", none, "dev.mdev.gpu.GpuParentDriver");
        bad.put("gpu.jar", "names no driver");
        for (String owner : new String[] {"api/MdevDevice", "core/bus/MdevBus", "host/Mine"}) {
            String file = owner.substring(0, owner.indexOf('/')) + "-class.jar";
            jars.pack(file, none, "no.Such");
            jars.add(file, "dev/mdev/" + owner + ".class", new byte[8]);
            bad.put(file, "brings a class of the framework");
        }
        jars.pack("level.jar", none, "no.Such");
        jars.manifest("level.jar", "Mdev-Api-Level: 99");
        bad.put("level.jar", "this host has level");
        jars.pack("manifest.jar", none, "no.Such");
        jars.manifest("manifest.jar", "X-Big: x\n".repeat(20_000));
        bad.put("manifest.jar", "manifest");
    }

    /// Jars whose code is wrong.
    private void putCode(DriverJars jars) throws IOException {
        put(
                jars,
                "a-constructor",
                "Throws",
                "throws",
                "public Throws() { throw new Error(); }",
                EMPTY);
        bad.put("a-constructor.jar", "Throws");
        put(jars, "b-static", "Static", "static", "static { if (true) throw new Error(); }", EMPTY);
        bad.put("b-static.jar", "Error");
        put(jars, "c-probe", "Probe", "probe", "", "throw new IllegalStateException(\"mine\");");
        bad.put("probe", "mine");
        put(jars, "d-name", "Name", "Not A Name", "", EMPTY);
        bad.put("Not A Name", "not the name of a driver");
        put(jars, "e-own", "Own", "hostile", "", EMPTY);
        put(jars, "f-clash", "Clash", "clash", "", DriverJars.goodProbe("gpu0"));
        bad.put("clash", "EEXIST");
        put(jars, "g-null", "Null", "null-probe", "", "return null;");
        bad.put("null-probe", "returned null");
        put(jars, "h-deep", "Deep", "deep", "", "return probe(host);");
        bad.put("deep", "StackOverflowError");
        put(jars, "i-blank", "Blank", "blank", "", DriverJars.goodProbe(" "));
        bad.put("blank", "EINVAL");
        put(
                jars,
                "j-evil",
                "Evil",
                "evil",
                "static class E extends Error { public String toString() { throw this; } }",
                "throw new E();");
        bad.put("evil", "throws when it is asked for its text");
        put(
                jars,
                "k-memory",
                "Memory",
                "memory",
                "",
                "host.allocateAperture(\"lost\", 1L << 40); " + EMPTY);
        bad.put("memory", "ENOMEM");
    }

    /// Jars whose code does not return.
    private void putHanging(DriverJars jars) throws IOException {
        put(jars, "l-sleeps", "Sleeps", "sleeps", "", FOREVER);
        bad.put("l-sleeps.jar", "has not returned");
        put(jars, "m-spins", "Spins", "spins", "", "while (true) { Thread.onSpinWait(); }");
        bad.put("m-spins.jar", "has not returned");
        put(jars, "n-constructor", "Stays", "stays", "public Stays() { " + FOREVER + " }", EMPTY);
        bad.put("n-constructor.jar", "has not returned");
        put(
                jars,
                "o-static",
                "Initial",
                "initial",
                "static { stay(); } static void stay() { " + FOREVER + " }",
                EMPTY);
        bad.put("o-static.jar", "has not returned");
    }

    private static void put(
            DriverJars jars, String file, String type, String name, String extra, String body)
            throws IOException {
        jars.jar(file + ".jar", type, name, extra, body);
    }
}
