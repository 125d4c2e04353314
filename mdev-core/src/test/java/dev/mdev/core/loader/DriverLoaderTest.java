package dev.mdev.core.loader;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.page.Page;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;

import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;

class DriverLoaderTest {
    private static final String SERVICE = "META-INF/services/" + ParentDriver.class.getName();

    private static final Duration PATIENCE = Duration.ofSeconds(20);

    @TempDir Path folder;
    @TempDir Path sources;

    private static final long MEMORY_PAGES = 128;

    private final HostMemory memory =
            new HostMemory(new OffHeapBackend(), Page.bytesOf(MEMORY_PAGES));
    private final MdevBus bus = new MdevBus(memory, Duration.ofSeconds(10), MdevObserver.NONE);
    private DriverLoader loader;

    @BeforeEach
    void start() {
        loader = new DriverLoader(folder, getClass().getClassLoader(), PATIENCE);
    }

    @AfterEach
    void end() {
        bus.close();
        loader.close();
        memory.close();
    }

    /// Compiles a driver and puts it into a jar.
    ///
    /// @param body the statements of `probe`
    private void jar(String file, String className, String name, String extra, String body)
            throws IOException {
        Path source = sources.resolve(className + ".java");
        Files.writeString(
                source,
                """
                import dev.mdev.api.*;
                import dev.mdev.api.page.*;
                import java.util.*;
                public class %s implements ParentDriver {
                    %s
                    public String name() { return "%s"; }
                    public List<ParentDevice> probe(ParentHost host) { %s }
                    static ParentDevice parent(String name, Aperture aperture) {
                        return new ParentDevice() {
                            public String name() { return name; }
                            public String description() { return ""; }
                            public Aperture aperture() { return aperture; }
                            public List<ResourcePool> pools() { return List.of(); }
                            public List<MdevType> types() { return List.of(); }
                            public MdevDevice create(MdevContext context) { return null; }
                            public void close() {}
                        };
                    }
                }
                """
                        .formatted(className, extra, name, body));
        Path classes = Files.createDirectories(sources.resolve(file));
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        int result =
                compiler.run(
                        null,
                        null,
                        null,
                        "-proc:none",
                        "-cp",
                        System.getProperty("java.class.path"),
                        "-d",
                        classes.toString(),
                        source.toString());
        assertThat(result).as("javac").isZero();
        pack(file, classes, className);
    }

    private void pack(String file, Path classes, String service) throws IOException {
        try (OutputStream out = Files.newOutputStream(folder.resolve(file));
                JarOutputStream jar = new JarOutputStream(out);
                Stream<Path> all = Files.list(classes)) {
            jar.putNextEntry(new JarEntry(SERVICE));
            jar.write(service.getBytes(StandardCharsets.UTF_8));
            for (Path path : all.toList()) {
                jar.putNextEntry(new JarEntry(path.getFileName().toString()));
                jar.write(Files.readAllBytes(path));
            }
        }
    }

    private static String goodProbe(String parent) {
        return "return List.of(parent(\"%s\", host.allocateAperture(\"a\", 4)));".formatted(parent);
    }

    @Test
    void aDriverOfAJarGetsItsSettingsAndItsParentsAreOnTheBus() throws IOException {
        jar(
                "a.jar",
                "Good",
                "good",
                "",
                "return List.of(parent(host.setting(\"parent\").orElseThrow(),"
                        + " host.allocateAperture(\"a\", 4)));");

        List<DriverReport> reports =
                loader.addAll(
                        bus,
                        Map.of("good", Map.of("parent", "gpu7"), "other", Map.of("x", "y")),
                        Set.of());

        assertThat(reports)
                .singleElement()
                .satisfies(report -> {
                    assertThat(report.trouble()).isEmpty();
                    assertThat(report.driver()).hasValue("good");
                    assertThat(report.parents()).containsExactly("gpu7");
                });
        assertThat(bus.parent("gpu7").driverName()).isEqualTo("good");
    }

    @Test
    void whatIsWrongWithOneJarIsToldAndTheOthersWork() throws IOException {
        Files.writeString(folder.resolve("b-text.jar"), "not a jar");
        Files.write(folder.resolve("b-empty.jar"), new byte[0]);
        Files.createDirectory(folder.resolve("b-folder.jar"));
        Files.writeString(folder.resolve("readme.txt"), "no jar at all");
        jar("c-good.jar", "Good", "good", "", goodProbe("gpu0"));
        pack("d-missing.jar", Files.createDirectories(sources.resolve("none")), "no.such.Driver");
        pack("d-wrong.jar", Files.createDirectories(sources.resolve("none")), "java.lang.String");
        jar(
                "e-constructor.jar",
                "Throws",
                "throws",
                "public Throws() { throw new IllegalStateException(\"constructor\"); }",
                "return List.of();");
        jar(
                "f-static.jar",
                "Static",
                "static",
                "static { if (true) throw new IllegalStateException(\"static\"); }",
                "return List.of();");
        jar("g-probe.jar", "Probe", "probe", "", "throw new IllegalStateException(\"probe\");");
        jar("h-name.jar", "Name", "Not A Name", "", "return List.of();");
        jar("i-again.jar", "Again", "good", "", goodProbe("gpu1"));
        jar("j-parent.jar", "Clash", "clash", "", goodProbe("gpu0"));
        jar("z-good.jar", "Last", "last", "", goodProbe("gpu9"));

        List<DriverReport> reports = loader.addAll(bus, Map.of(), Set.of("host-own"));

        assertThat(reports)
                .filteredOn(report -> report.trouble().isEmpty())
                .extracting(report -> report.jar().getFileName().toString())
                .containsExactly("c-good.jar", "z-good.jar");
        assertTrouble(reports, "b-text.jar", "not a driver jar");
        assertTrouble(reports, "b-empty.jar", "not a driver jar");
        assertTrouble(reports, "b-folder.jar", "not a driver jar");
        assertTrouble(reports, "d-missing.jar", "no.such.Driver");
        assertTrouble(reports, "d-wrong.jar", "names no driver");
        assertTrouble(reports, "e-constructor.jar", "Throws");
        assertTrouble(reports, "f-static.jar", "caused by java.lang.IllegalStateException: static");
        assertTrouble(reports, "g-probe.jar", "probe");
        assertTrouble(reports, "h-name.jar", "Not A Name");
        assertTrouble(reports, "i-again.jar", "c-good.jar");
        assertTrouble(reports, "j-parent.jar", "EEXIST");
        assertThat(bus.parents()).extracting(p -> p.name()).containsExactly("gpu0", "gpu9");
    }

    private static void assertTrouble(List<DriverReport> reports, String jar, String words) {
        assertThat(reports)
                .filteredOn(report -> report.jar().getFileName().toString().equals(jar))
                .singleElement()
                .satisfies(report -> assertThat(report.trouble().orElseThrow()).contains(words));
    }

    @Test
    void twoJarsMayBringClassesOfOneName() throws IOException {
        jar("a.jar", "Same", "one", "", goodProbe("gpu1"));
        jar("b.jar", "Same", "two", "", goodProbe("gpu2"));

        assertThat(loader.addAll(bus, Map.of(), Set.of("host-own")))
                .allMatch(report -> report.trouble().isEmpty())
                .hasSize(2);
    }

    private void add(String file, String entry, byte[] content) throws IOException {
        try (FileSystem jar = FileSystems.newFileSystem(folder.resolve(file))) {
            Path path = jar.getPath(entry);
            if (path.getParent() != null) {
                Files.createDirectories(path.getParent());
            }
            Files.write(path, content);
        }
    }

    private void manifest(String file, String line) throws IOException {
        add(
                file,
                "META-INF/MANIFEST.MF",
                ("Manifest-Version: 1.0\n" + line + "\n").getBytes(StandardCharsets.UTF_8));
    }

    /// What can be seen without running any code of the jar is seen before.
    @Test
    void whatIsWrongWithAJarIsFoundBeforeItsCodeRuns() throws Exception {
        String runs = "static { System.setProperty(\"mdev.test.ran\", \"yes\"); }";
        for (String file : List.of("a-level.jar", "b-level.jar", "c-huge.jar", "d-class.jar")) {
            jar(file, "Good", "good", runs, goodProbe("gpu0"));
        }
        manifest("a-level.jar", "Mdev-Api-Level: 2");
        manifest("b-level.jar", "Mdev-Api-Level: new");
        manifest("c-huge.jar", "X-Big: x\n".repeat(20_000));
        add("d-class.jar", "dev/mdev/core/bus/MdevBus.class", new byte[8]);
        jar("e-cut.jar", "Good", "good", runs, goodProbe("gpu0"));
        byte[] whole = Files.readAllBytes(folder.resolve("e-cut.jar"));
        Files.write(folder.resolve("e-cut.jar"), Arrays.copyOf(whole, whole.length / 2));
        assertThat(
                        new ProcessBuilder("mkfifo", folder.resolve("f-pipe.jar").toString())
                                .start()
                                .waitFor())
                .isZero();

        List<DriverReport> reports = loader.addAll(bus, Map.of(), Set.of());

        assertTrouble(
                reports, "a-level.jar", "made for Mdev-Api-Level 2, and this host has level 1");
        assertTrouble(reports, "b-level.jar", "made for Mdev-Api-Level new");
        assertTrouble(reports, "c-huge.jar", "manifest");
        assertTrouble(reports, "d-class.jar", "dev/mdev/core/bus/MdevBus.class");
        assertTrouble(reports, "e-cut.jar", "not a driver jar");
        assertTrouble(reports, "f-pipe.jar", "not a regular file");
        assertThat(System.getProperty("mdev.test.ran")).isNull();
        assertThat(bus.parents()).isEmpty();
    }

    @Test
    void aJarThatDeclaresThisHostsLevelIsLoaded() throws IOException {
        jar("a.jar", "Good", "good", "", goodProbe("gpu0"));
        manifest("a.jar", "Mdev-Api-Level: 1");

        assertThat(loader.addAll(bus, Map.of(), Set.of()))
                .singleElement()
                .satisfies(report -> assertThat(report.trouble()).isEmpty());
    }

    @Test
    void codeOfAJarThatBehavesBadlyIsNamedAndTheOthersWork() throws IOException {
        String evil =
                "static class Evil extends Error {"
                        + " public String toString() { throw new IllegalStateException(); } }";
        jar("a-own.jar", "Own", "host-own", "", goodProbe("gpu1"));
        jar("b-evil.jar", "EvilProbe", "evil", evil, "throw new Evil();");
        jar("c-null.jar", "NullProbe", "null-probe", "", "return null;");
        jar("d-hidden.jar", "Hidden", "hidden", "private Hidden() {}", "return List.of();");
        jar("e-long.jar", "Long", "x\".repeat(9000000) + \"", "", "return List.of();");
        jar(
                "f-memory.jar",
                "Memory",
                "memory",
                "",
                "host.allocateAperture(\"lost\", 100); throw new OutOfMemoryError(\"mine\");");
        jar("g-deep.jar", "Deep", "deep", "", "return probe(host);");
        jar("h-parent.jar", "Blank", "blank", "", goodProbe(" "));
        jar(
                "i-null.jar",
                "NullParent",
                "null-parent",
                "",
                "return Arrays.asList((ParentDevice) null);");
        jar("j-newer.jar", "Newer", "newer", "", "return List.of();");
        byte[] newer = Files.readAllBytes(sources.resolve("j-newer.jar").resolve("Newer.class"));
        newer[7] = (byte) 200;
        add("j-newer.jar", "Newer.class", newer);
        jar(
                "k-needs.jar",
                "Needs",
                "needs",
                "static class Other {}",
                "new Other(); return List.of();");
        try (FileSystem jar = FileSystems.newFileSystem(folder.resolve("k-needs.jar"))) {
            Files.delete(jar.getPath("Needs$Other.class"));
        }
        jar("z-good.jar", "Last", "last", "", goodProbe("gpu9"));

        List<DriverReport> reports = loader.addAll(bus, Map.of(), Set.of("host-own"));

        assertTrouble(reports, "a-own.jar", "one of the host's own");
        assertTrouble(reports, "b-evil.jar", "throws when it is asked for its text");
        assertTrouble(reports, "c-null.jar", "returned null");
        assertTrouble(reports, "d-hidden.jar", "Hidden");
        assertTrouble(reports, "e-long.jar", "9000000 characters");
        assertTrouble(reports, "f-memory.jar", "mine");
        assertTrouble(reports, "g-deep.jar", "StackOverflowError");
        assertTrouble(reports, "h-parent.jar", "EINVAL");
        assertTrouble(reports, "i-null.jar", "NullPointerException");
        assertTrouble(reports, "j-newer.jar", "class file version");
        assertTrouble(reports, "k-needs.jar", "Needs$Other");
        assertThat(reports)
                .allSatisfy(
                        report -> assertThat(report.trouble().orElse("")).hasSizeLessThan(10_000));
        assertThat(bus.parents()).extracting(p -> p.name()).containsExactly("gpu9");
        // All but gpu9's four pages were given back.
        memory.free(memory.allocate("rest", MEMORY_PAGES - 4));
    }

    @Test
    void aJarThatBlocksHoldsUpOnlyItself() throws IOException {
        jar(
                "a.jar",
                "Blocks",
                "blocks",
                "",
                "try { Thread.sleep(Long.MAX_VALUE); } catch (InterruptedException e) {}"
                        + " return List.of();");
        jar("b.jar", "Good", "good", "", goodProbe("gpu0"));
        DriverLoader hasty =
                new DriverLoader(folder, getClass().getClassLoader(), Duration.ofSeconds(2));

        List<DriverReport> reports = hasty.addAll(bus, Map.of(), Set.of());

        assertTrouble(reports, "a.jar", "on thread mdev-load-a.jar");
        assertThat(bus.parents()).extracting(p -> p.name()).containsExactly("gpu0");
    }

    @Test
    void aFolderThatIsNotThereIsNamed() {
        Path none = folder.resolve("none");
        try (DriverLoader missing = new DriverLoader(none, getClass().getClassLoader(), PATIENCE)) {
            assertThatThrownBy(() -> missing.addAll(bus, Map.of(), Set.of("host-own")))
                    .isInstanceOfSatisfying(
                            MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENOENT))
                    .hasMessageContaining(none.toString());
        }
    }
}
