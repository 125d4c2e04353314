package dev.mdev.core.loader;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.page.Page;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.support.Together;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;

class DriverLoaderTest {
    private static final Duration PATIENCE = Deadlines.HANG;

    @TempDir Path folder;
    @TempDir Path sources;

    private static final long MEMORY_PAGES = 128;

    private final HostMemory memory =
            new HostMemory(new OffHeapBackend(), Page.bytesOf(MEMORY_PAGES));
    private final MdevBus bus = new MdevBus(memory, PATIENCE, MdevObserver.NONE);
    private final DriverLoader.Target target = new DriverLoader.Target(bus, Map.of());
    private DriverJars jars;
    private DriverLoader loader;

    @BeforeEach
    void start() {
        jars = new DriverJars(folder, sources);
        loader = new DriverLoader(folder, getClass().getClassLoader(), PATIENCE);
    }

    @AfterEach
    void end() {
        bus.close();
        loader.close();
        memory.close();
    }

    @Test
    void aDriverOfAJarGetsItsSettingsAndItsParentsAreOnTheBus() throws IOException {
        jars.jar(
                "a.jar",
                "Good",
                "good",
                "",
                "return List.of(parent(host.setting(\"parent\").orElseThrow(),"
                        + " host.allocateAperture(\"a\", 4)));");

        List<DriverReport> reports =
                loader.addAll(
                        new DriverLoader.Target(
                                bus,
                                Map.of(
                                        "good",
                                        Map.of("parent", "gpu7"),
                                        "other",
                                        Map.of("x", "y"))));

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
        jars.jar("c-good.jar", "Good", "good", "", DriverJars.goodProbe("gpu0"));
        jars.pack(
                "d-missing.jar",
                Files.createDirectories(sources.resolve("none")),
                "no.such.Driver");
        jars.pack(
                "d-wrong.jar",
                Files.createDirectories(sources.resolve("none")),
                "java.lang.String");
        jars.jar(
                "e-constructor.jar",
                "Throws",
                "throws",
                "public Throws() { throw new IllegalStateException(\"constructor\"); }",
                "return List.of();");
        jars.jar(
                "f-static.jar",
                "Static",
                "static",
                "static { if (true) throw new IllegalStateException(\"static\"); }",
                "return List.of();");
        jars.jar(
                "g-probe.jar", "Probe", "probe", "", "throw new IllegalStateException(\"probe\");");
        jars.jar("h-name.jar", "Name", "Not A Name", "", "return List.of();");
        jars.jar("i-again.jar", "Again", "good", "", DriverJars.goodProbe("gpu1"));
        jars.jar("j-parent.jar", "Clash", "clash", "", DriverJars.goodProbe("gpu0"));
        jars.jar("z-good.jar", "Last", "last", "", DriverJars.goodProbe("gpu9"));

        List<DriverReport> reports = loader.addAll(target);

        assertThat(reports)
                .filteredOn(report -> report.trouble().isEmpty())
                .extracting(report -> report.source())
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
                .filteredOn(report -> report.source().equals(jar))
                .singleElement()
                .satisfies(report -> assertThat(report.trouble().orElseThrow()).contains(words));
    }

    @Test
    void aJarThatComesLaterIsLoadedAndTheOthersStayAsTheyAre() throws IOException {
        jars.jar("a.jar", "Good", "good", "", DriverJars.goodProbe("gpu0"));
        Files.writeString(folder.resolve("b.jar"), "half a");
        jars.pack("e.jar", Files.createDirectories(sources.resolve("none")), "no.such.Driver");
        loader.addAll(target);

        jars.jar("e.jar", "Mended", "mended", "", DriverJars.goodProbe("gpu3"));
        jars.jar("b.jar", "Whole", "whole", "", DriverJars.goodProbe("gpu1"));
        jars.jar("c.jar", "Late", "late", "", DriverJars.goodProbe("gpu2"));
        Files.writeString(folder.resolve("d.jar"), "not a jar");
        List<DriverReport> reports = loader.addAll(target);

        assertThat(reports)
                .extracting(DriverReport::source)
                .containsExactly("a.jar", "b.jar", "c.jar", "d.jar", "e.jar");
        assertThat(reports).filteredOn(report -> report.trouble().isEmpty()).hasSize(4);
        assertTrouble(reports, "d.jar", "not a driver jar");
        assertThat(bus.parents())
                .extracting(p -> p.name())
                .containsExactly("gpu0", "gpu1", "gpu2", "gpu3");
    }

    @Test
    void aJarThatChangesOrLeavesIsToldAndItsDriverStays() throws IOException {
        jars.jar("a.jar", "Good", "good", "", DriverJars.goodProbe("gpu0"));
        jars.jar("b.jar", "Gone", "gone", "", DriverJars.goodProbe("gpu1"));
        jars.jar("c.jar", "Fails", "fails", "", "throw new IllegalStateException(\"mine\");");
        loader.addAll(target);

        // A file of its own, as a package manager replaces one.
        Files.delete(folder.resolve("a.jar"));
        jars.jar("a.jar", "Newer", "newer", "", DriverJars.goodProbe("gpu9"));
        Files.delete(folder.resolve("b.jar"));
        jars.jar("d.jar", "Moved", "gone", "", DriverJars.goodProbe("gpu8"));
        List<DriverReport> reports = loader.addAll(target);

        assertTrouble(reports, "a.jar", "a.jar changed after it was loaded");
        assertTrouble(reports, "b.jar", "not in the folder any more");
        assertTrouble(reports, "c.jar", "mine");
        assertTrouble(reports, "d.jar", "already loaded, from b.jar");
        assertThat(reports.getFirst().parents()).containsExactly("gpu0");
        assertThat(bus.parents()).extracting(p -> p.name()).containsExactly("gpu0", "gpu1");
    }

    /// It finds its device when it looks again, without being loaded again.
    @Test
    void aDriverThatFoundNoDeviceIsNotLoadedTwice() throws IOException {
        String body =
                "if (++looks == 1) { throw new IllegalStateException(\"no card\"); } "
                        + DriverJars.goodProbe("gpu0");
        jars.jar("a.jar", "Late", "late", "int looks;", body);
        assertTrouble(loader.addAll(target), "a.jar", "no card");

        assertTrouble(loader.addAll(target), "a.jar", "no card");
        bus.rescanDriver("late");

        assertThat(bus.parents()).extracting(p -> p.name()).containsExactly("gpu0");
    }

    @Test
    void codeThatReturnsLateIsNotRunAgainAndItsSuccessIsTold() throws Exception {
        jars.jar(
                "a.jar",
                "Waits",
                "waits",
                "",
                "while (System.getProperty(\"mdev.test.go\") == null) Thread.onSpinWait(); "
                        + DriverJars.goodProbe("gpu0"));
        try (DriverLoader hasty =
                new DriverLoader(folder, getClass().getClassLoader(), Duration.ofMillis(200))) {
            assertTrouble(hasty.addAll(target), "a.jar", "has not returned");
            assertTrouble(hasty.addAll(target), "a.jar", "has not returned");

            System.setProperty("mdev.test.go", "yes");

            Together.await(
                    "the code returns", () -> hasty.addAll(target).getFirst().trouble().isEmpty());
            assertThat(bus.parents()).extracting(p -> p.name()).containsExactly("gpu0");
        } finally {
            System.clearProperty("mdev.test.go");
        }
    }

    @Test
    void twoJarsMayBringClassesOfOneName() throws IOException {
        jars.jar("a.jar", "Same", "one", "", DriverJars.goodProbe("gpu1"));
        jars.jar("b.jar", "Same", "two", "", DriverJars.goodProbe("gpu2"));

        assertThat(loader.addAll(target)).allMatch(report -> report.trouble().isEmpty()).hasSize(2);
    }

    /// What can be seen without running any code of the jar is seen before.
    @Test
    void whatIsWrongWithAJarIsFoundBeforeItsCodeRuns() throws Exception {
        String runs = "static { System.setProperty(\"mdev.test.ran\", \"yes\"); }";
        for (String file : List.of("a-level.jar", "b-level.jar", "c-huge.jar", "d-class.jar")) {
            jars.jar(file, "Good", "good", runs, DriverJars.goodProbe("gpu0"));
        }
        jars.manifest("a-level.jar", "Mdev-Api-Level: 2");
        jars.manifest("b-level.jar", "Mdev-Api-Level: new");
        jars.manifest("c-huge.jar", "X-Big: x\n".repeat(20_000));
        jars.add("d-class.jar", "dev/mdev/core/bus/MdevBus.class", new byte[8]);
        jars.jar("e-cut.jar", "Good", "good", runs, DriverJars.goodProbe("gpu0"));
        byte[] whole = Files.readAllBytes(folder.resolve("e-cut.jar"));
        Files.write(folder.resolve("e-cut.jar"), Arrays.copyOf(whole, whole.length / 2));
        assertThat(
                        new ProcessBuilder("mkfifo", folder.resolve("f-pipe.jar").toString())
                                .start()
                                .waitFor())
                .isZero();

        List<DriverReport> reports = loader.addAll(target);

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
        jars.jar("a.jar", "Good", "good", "", DriverJars.goodProbe("gpu0"));
        jars.manifest("a.jar", "Mdev-Api-Level: 1");

        assertThat(loader.addAll(target))
                .singleElement()
                .satisfies(report -> assertThat(report.trouble()).isEmpty());
    }

    @Test
    void codeOfAJarThatBehavesBadlyIsNamedAndTheOthersWork() throws IOException {
        String evil =
                "static class Evil extends Error {"
                        + " public String toString() { throw new IllegalStateException(); } }";
        jars.jar("a-own.jar", "Own", "host-own", "", DriverJars.goodProbe("gpu1"));
        jars.jar("b-evil.jar", "EvilProbe", "evil", evil, "throw new Evil();");
        jars.jar("c-null.jar", "NullProbe", "null-probe", "", "return null;");
        jars.jar("d-hidden.jar", "Hidden", "hidden", "private Hidden() {}", "return List.of();");
        jars.jar("e-long.jar", "Long", "x\".repeat(9000000) + \"", "", "return List.of();");
        jars.jar(
                "f-memory.jar",
                "Memory",
                "memory",
                "",
                "host.allocateAperture(\"lost\", 100); throw new OutOfMemoryError(\"mine\");");
        jars.jar("g-deep.jar", "Deep", "deep", "", "return probe(host);");
        jars.jar("h-parent.jar", "Blank", "blank", "", DriverJars.goodProbe(" "));
        jars.jar(
                "i-null.jar",
                "NullParent",
                "null-parent",
                "",
                "return Arrays.asList((ParentDevice) null);");
        jars.jar("j-newer.jar", "Newer", "newer", "", "return List.of();");
        byte[] newer = Files.readAllBytes(sources.resolve("j-newer.jar").resolve("Newer.class"));
        newer[7] = (byte) 200;
        jars.add("j-newer.jar", "Newer.class", newer);
        jars.jar(
                "k-needs.jar",
                "Needs",
                "needs",
                "static class Other {}",
                "new Other(); return List.of();");
        try (FileSystem jar = FileSystems.newFileSystem(folder.resolve("k-needs.jar"))) {
            Files.delete(jar.getPath("Needs$Other.class"));
        }
        jars.jar("z-good.jar", "Last", "last", "", DriverJars.goodProbe("gpu9"));

        DriverReport own = loader.addBuiltIn("Own", () -> new BuiltIn("host-own"), target);
        List<DriverReport> reports = loader.addAll(target);

        assertThat(own.trouble().orElseThrow()).contains("no card");
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

    /// What the host keeps, and shows at each look, does not grow with the folder.
    @Test
    void ofManyBadJarsTheFirstAreNamedAndTheOthersCounted() throws IOException {
        int more = 50;
        for (int i = 0; i < DriverLoader.MAX_NAMED + more; i++) {
            Files.writeString(folder.resolve("a-%03d.jar".formatted(i)), "not a jar");
        }
        jars.jar("z-good.jar", "Last", "last", "", DriverJars.goodProbe("gpu9"));

        List<DriverReport> reports = loader.addAll(target);

        assertThat(reports).hasSize(DriverLoader.MAX_NAMED + 2);
        assertTrouble(reports, "a-000.jar", "not a driver jar");
        assertTrouble(reports, folder.toString(), more + " more drivers");
        assertThat(reports)
                .filteredOn(report -> report.trouble().isEmpty())
                .extracting(DriverReport::source)
                .containsExactly("z-good.jar");
    }

    /// The name is asked once: the second answer is that of one of the host's own drivers.
    @Test
    void aDriverThatChangesItsNameKeepsTheFirst() throws IOException {
        var _ = loader.addBuiltIn("Own", () -> new BuiltIn("host-own"), target);
        jars.jar(
                "a.jar",
                "Changes",
                "\".concat(asked++ == 0 ? \"good\" : \"host-own\") + \"",
                "int asked;",
                DriverJars.goodProbe("gpu0"));

        List<DriverReport> reports = loader.addAll(target);

        assertThat(reports)
                .singleElement()
                .satisfies(report -> assertThat(report.trouble()).isEmpty());
        assertThat(bus.parent("gpu0").driverName()).isEqualTo("good");
        assertThatThrownBy(() -> bus.rescanDriver("host-own")).hasMessageContaining("no card");
    }

    @Test
    @Timeout(value = 300, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void aJarThatBecomesAPipeIsNotRead() throws Exception {
        jars.jar("a.jar", "Good", "good", "", DriverJars.goodProbe("gpu0"));
        var _ = loader.addAll(target);
        Files.delete(folder.resolve("a.jar"));
        assertThat(
                        new ProcessBuilder("mkfifo", folder.resolve("a.jar").toString())
                                .start()
                                .waitFor())
                .isZero();

        assertTrouble(loader.addAll(target), "a.jar", "not a regular file");
    }

    @Test
    void aJarThatBlocksHoldsUpOnlyItself() throws IOException {
        jars.jar(
                "a.jar",
                "Blocks",
                "blocks",
                "",
                "try { Thread.sleep(Long.MAX_VALUE); } catch (InterruptedException e) {}"
                        + " return List.of();");
        jars.jar("b.jar", "Good", "good", "", DriverJars.goodProbe("gpu0"));
        DriverLoader hasty =
                new DriverLoader(folder, getClass().getClassLoader(), Duration.ofMillis(200));

        assertTrouble(hasty.addAll(target), "a.jar", "on thread mdev-load-a.jar");

        Together.await(
                "the other is there", () -> hasty.addAll(target).getLast().trouble().isEmpty());
        assertThat(bus.parents()).extracting(p -> p.name()).containsExactly("gpu0");
    }

    @Test
    void aBuiltInDriverThatBlocksHoldsUpOnlyItself() {
        CountDownLatch gate = new CountDownLatch(1);
        DriverLoader hasty =
                new DriverLoader(null, getClass().getClassLoader(), Duration.ofMillis(200));

        DriverReport report =
                hasty.addBuiltIn(
                        "Slow",
                        () -> {
                            try {
                                gate.await();
                            } catch (InterruptedException e) {
                                throw new IllegalStateException(e);
                            }
                            return new BuiltIn("slow");
                        },
                        target);

        assertThat(report.source()).isEqualTo("Slow");
        assertThat(report.trouble().orElseThrow()).contains("on thread mdev-load-Slow");
        gate.countDown();
    }

    /// A driver of the host's own, whose card is missing.
    private record BuiltIn(String name) implements ParentDriver {
        @Override
        public List<ParentDevice> probe(ParentHost host) {
            throw new MdevException(Errno.ENODEV, "no card");
        }
    }

    @Test
    void aFolderThatIsNotThereIsNamed() {
        Path none = folder.resolve("none");
        try (DriverLoader missing = new DriverLoader(none, getClass().getClassLoader(), PATIENCE)) {
            assertThatThrownBy(() -> missing.addAll(target))
                    .isInstanceOfSatisfying(
                            MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENOENT))
                    .hasMessageContaining(none.toString());
        }
    }
}
