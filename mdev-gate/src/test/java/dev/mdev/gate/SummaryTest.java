package dev.mdev.gate;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

import javax.tools.ToolProvider;

/// What `.ci/summary` says about a checkout with one module, `m`.
@Tag("slow")
class SummaryTest {
    private record Verdict(int code, String text) {}

    private static final String PASSED = "<testcase name='works' classname='%s' time='0.5'/>";
    private static final String FAILED =
            "<testcase name='works' classname='%s'><failure message='1 is not 2'/></testcase>";
    private static final String SKIPPED =
            "<testcase name='works' classname='%s'><skipped message='%s'/></testcase>";

    @TempDir private static Path programs;
    @TempDir private Path checkout;

    @BeforeAll
    static void compileTheSummary() {
        Path sources = Path.of("..", ".ci", "summary");
        compile(
                programs,
                List.of(
                        sources.resolve("Summary.java").toString(),
                        "-sourcepath",
                        sources.toString()));
    }

    @BeforeEach
    void layOutTheCheckout() throws IOException {
        write("pom.xml", "<project><modules><module>m</module></modules></project>");
        write(".ci/allowed-skips", "# why not\n^no device");
        testClass("OneTest", "@org.junit.jupiter.api.Test void works() {}");
    }

    @Test
    void testsThatPassArePassed() throws Exception {
        surefire("OneTest", PASSED.formatted("OneTest"));
        // Not a test by itself; its subclass inherits one.
        testClass("Contract", "@org.junit.jupiter.api.Test void holds() {}", "abstract");
        testClass("ImplementationTest extends Contract", "");
        surefire("ImplementationTest", PASSED.formatted("ImplementationTest"));

        Verdict verdict = summary();

        assertThat(verdict.text).endsWith("2 passed, 0 failed, 0 skipped\n");
        assertThat(verdict.text)
                .contains("2 test classes: 2 ran, 0 of them in the box, 0 ran nowhere");
        assertThat(verdict.code).as(verdict.text).isZero();
    }

    @Test
    void aFailureIsNamedAndFails() throws Exception {
        surefire("OneTest", FAILED.formatted("OneTest"));

        requireError("m: OneTest.works failed: 1 is not 2");
    }

    @Test
    void aFailureWithALongMessageIsNamedToo() throws Exception {
        // Longer than the limits of the JDK's parser.
        String message = "1 is not 2" + "&lt;".repeat(300_000);
        surefire("OneTest", FAILED.formatted("OneTest").replace("1 is not 2", message));

        requireError("m: OneTest.works failed: 1 is not 2<");
    }

    @Test
    void theSlowestClassComesFirst() throws Exception {
        testClass("SlowTest extends OneTest", "");
        surefire("OneTest", PASSED.formatted("OneTest"));
        surefire("SlowTest", PASSED.formatted("SlowTest").replace("0.5", "1,234.5"));

        assertThat(summary().text)
                .containsSubsequence("    1235  m: SlowTest\n", "       1  m: OneTest\n");
    }

    @Test
    void aClassThatIsSkippedForAnAllowedReasonIsNamedWithIt() throws Exception {
        surefire("OneTest", PASSED.formatted("OneTest"));
        testClass("DeviceTest extends OneTest", "");
        surefire("DeviceTest", SKIPPED.formatted("DeviceTest", "no device: ENOENT"));

        Verdict verdict = summary();

        assertThat(verdict.code).as(verdict.text).isZero();
        assertThat(verdict.text).contains("ran nowhere: no device: ENOENT\n    DeviceTest of m\n");
    }

    @Test
    void aReasonThatIsNotListedFails() throws Exception {
        surefire("OneTest", PASSED.formatted("OneTest") + SKIPPED.formatted("OneTest", "bored"));

        requireError("1 skipped, and may not: bored");
    }

    @Test
    void aClassWithoutAnyResultFails() throws Exception {
        surefire("OneTest", PASSED.formatted("OneTest"));
        testClass("LostTest extends OneTest", "");
        testClass("AbortedTest extends OneTest", "");
        surefire("AbortedTest", "");

        Verdict verdict = summary();

        assertThat(verdict.code).as(verdict.text).isOne();
        assertThat(verdict.text)
                .contains("NO REASON: it has no report\n    LostTest of m\n")
                .contains("NO REASON: its report has no test\n    AbortedTest of m\n");
    }

    @Test
    void nothingAtAllFails() throws Exception {
        requireError("no test passed");
    }

    @Test
    void aClassThatRanInTheBoxRan() throws Exception {
        surefire("OneTest", SKIPPED.formatted("OneTest", "nobody would allow this"));
        box("npt=0", PASSED.formatted("OneTest"));
        box("npt=1", PASSED.formatted("OneTest"));

        Verdict verdict = summary();

        assertThat(verdict.code).as(verdict.text).isZero();
        assertThat(verdict.text)
                .contains("1 test classes: 1 ran, 1 of them in the box, 0 ran nowhere");
    }

    @Test
    void aFailureUnderOneOfTheMmusFails() throws Exception {
        box("npt=0", PASSED.formatted("OneTest"));
        box("npt=1", FAILED.formatted("OneTest"));

        requireError("box npt=1: OneTest.works failed");
    }

    @Test
    void whatRanInOnlyOneOfTheBoxesFails() throws Exception {
        testClass("OtherTest extends OneTest", "");
        box("npt=0", PASSED.formatted("OneTest") + PASSED.formatted("OtherTest"));
        box("npt=1", PASSED.formatted("OneTest"));

        requireError("box npt=1 did not run OtherTest");
    }

    @Test
    void anyReportFileIsSurvivedAndNamed() throws Exception {
        surefire("OneTest", PASSED.formatted("OneTest"));
        Path reports = checkout.resolve("m/target/surefire-reports");
        Files.writeString(reports.resolve("TEST-empty.xml"), "");
        Files.writeString(reports.resolve("TEST-truncated.xml"), "<testsuite name='x'><testcase");
        Files.writeString(reports.resolve("TEST-other.xml"), "<project/>");
        Files.writeString(
                reports.resolve("TEST-time.xml"),
                "<testsuite><testcase name='a' classname='b' time='soon'/></testsuite>");
        Files.writeString(
                reports.resolve("TEST-entity.xml"),
                """
                <!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>
                <testsuite><testcase name='a' classname='b'><failure>&e;</failure></testcase></testsuite>
                """);
        Files.write(reports.resolve("TEST-binary.xml"), new byte[] {0, (byte) 0xff, 1, '<'});
        Files.createDirectory(reports.resolve("TEST-folder.xml"));
        try (RandomAccessFile huge =
                new RandomAccessFile(reports.resolve("TEST-huge.xml").toFile(), "rw")) {
            huge.setLength(1L << 33);
        }

        Verdict verdict = summary();

        assertThat(verdict.code).as(verdict.text).isOne();
        for (String name :
                List.of(
                        "empty",
                        "truncated",
                        "other",
                        "time",
                        "entity",
                        "binary",
                        "folder",
                        "huge")) {
            assertThat(verdict.text)
                    .containsPattern(
                            "ERROR: a report cannot be read: .*/TEST-" + name + "\\.xml: ");
        }
        assertThat(verdict.text).endsWith("1 passed, 0 failed, 0 skipped\n");
    }

    private void requireError(String text) throws Exception {
        Verdict verdict = summary();
        assertThat(verdict.text).contains("ERROR: " + text);
        assertThat(verdict.code).isOne();
    }

    private void surefire(String type, String cases) throws IOException {
        write(
                "m/target/surefire-reports/TEST-%s.xml".formatted(type),
                "<testsuite name='%s'>%s</testsuite>".formatted(type, cases));
    }

    private void box(String mode, String cases) throws IOException {
        write(
                "target/box/%s/TEST-junit-jupiter.xml".formatted(mode),
                "<testsuite name='JUnit Jupiter'>%s</testsuite>".formatted(cases));
    }

    private void testClass(String head, String body, String... modifiers) throws IOException {
        String source = "%s class %s { %s }".formatted(String.join(" ", modifiers), head, body);
        Path classes = checkout.resolve("m/target/test-classes");
        Path file = write("m/src/%s.java".formatted(head.split(" ", -1)[0]), source);
        Files.createDirectories(classes);
        compile(classes, List.of(file.toString()));
    }

    private static void compile(Path classes, List<String> arguments) {
        String path = classes + ":" + System.getProperty("java.class.path");
        List<String> all =
                new ArrayList<>(List.of("-proc:none", "-d", classes.toString(), "-cp", path));
        all.addAll(arguments);
        int code =
                ToolProvider.getSystemJavaCompiler()
                        .run(null, null, null, all.toArray(String[]::new));
        assertThat(code).as("javac %s", all).isZero();
    }

    private Path write(String name, String text) throws IOException {
        Path file = checkout.resolve(name);
        Files.createDirectories(file.getParent());
        return Files.writeString(file, text);
    }

    private Verdict summary() throws IOException, InterruptedException {
        Process process =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                "-cp",
                                programs.toString(),
                                "Summary",
                                checkout.toString())
                        .redirectErrorStream(true)
                        .start();
        String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Verdict(process.waitFor(), text);
    }
}
