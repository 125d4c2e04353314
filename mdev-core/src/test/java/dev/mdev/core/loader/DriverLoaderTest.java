package dev.mdev.core.loader;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.ParentDriver;
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
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;

import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;

class DriverLoaderTest {
    private static final String SERVICE = "META-INF/services/" + ParentDriver.class.getName();

    @TempDir Path folder;
    @TempDir Path sources;

    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final MdevBus bus = new MdevBus(memory, Duration.ofSeconds(10), MdevObserver.NONE);
    private DriverLoader loader;

    @BeforeEach
    void start() {
        loader = new DriverLoader(folder, getClass().getClassLoader());
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
                        bus, Map.of("good", Map.of("parent", "gpu7"), "other", Map.of("x", "y")));

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

        List<DriverReport> reports = loader.addAll(bus, Map.of());

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
        assertTrouble(reports, "f-static.jar", "Static");
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

        assertThat(loader.addAll(bus, Map.of()))
                .allMatch(report -> report.trouble().isEmpty())
                .hasSize(2);
    }

    @Test
    void aFolderThatIsNotThereIsNamed() {
        Path none = folder.resolve("none");
        try (DriverLoader missing = new DriverLoader(none, getClass().getClassLoader())) {
            assertThatThrownBy(() -> missing.addAll(bus, Map.of()))
                    .isInstanceOfSatisfying(
                            MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENOENT))
                    .hasMessageContaining(none.toString());
        }
    }
}
