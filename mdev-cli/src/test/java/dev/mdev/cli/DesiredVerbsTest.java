package dev.mdev.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/// Documents of what should be, by recorded answers.
class DesiredVerbsTest {
    private static final String PLAN = "POST /api/v1/desired/plan";
    private static final String STEP =
            "{\"action\":\"%s\",\"subject\":\"machines/vm1\",\"detail\":\"guest\"%s}";
    private static final String DIFFERENT = "{\"met\":false,\"steps\":[%s]}";
    private static final String CREATE = DIFFERENT.formatted(STEP.formatted("create", ""));
    private static final String CONFLICT = DIFFERENT.formatted(STEP.formatted("conflict", ""));
    private static final String MET = "{\"met\":true,\"steps\":[]}";

    @TempDir private Path folder = Path.of("");

    private String document(String name, String text) throws IOException {
        Path file = folder.resolve(name);
        Files.writeString(file, text);
        return file.toString();
    }

    @Test
    void planShowsTheStepsAndSaysByItsCodeWhetherApplyCanTakeThem() throws IOException {
        String file = document("a.yaml", "manager: a");
        try (Stub stub = new Stub()) {
            stub.on(PLAN, 200, Stub.JSON, CREATE)
                    .on(PLAN, 200, Stub.JSON, MET)
                    .on(PLAN, 200, Stub.JSON, CONFLICT);
            assertThat(Run.of(stub.url(), "plan", file).requireOk().out())
                    .isEqualTo(
                            """
                            ACTION  SUBJECT       DETAIL
                            create  machines/vm1  guest
                            """);
            assertThat(Run.of(stub.url(), "plan", file).requireOk().out())
                    .isEqualTo("all is as it should be\n");
            assertThat(Run.of(stub.url(), "plan", file).code()).isEqualTo(4);
            assertThat(Run.of(stub.url(), "apply", "--dry-run", file).code()).isEqualTo(4);
            assertThat(stub.requests()).hasSize(4).containsOnly(PLAN + " manager: a");
        }
    }

    @Test
    void applySaysByItsCodeWhetherAllIsAsItShouldBe() throws IOException {
        String file = document("a.json", "{\"manager\":\"a\"}");
        String apply = "PUT /api/v1/desired";
        try (Stub stub = new Stub()) {
            String refused = ",\"done\":false,\"code\":\"busy\",\"reason\":\"in use\"";
            stub.on(
                            apply,
                            200,
                            Stub.JSON,
                            "{\"met\":true,\"steps\":[%s]}"
                                    .formatted(STEP.formatted("create", ",\"done\":true")))
                    .on(
                            apply,
                            200,
                            Stub.JSON,
                            DIFFERENT.formatted(STEP.formatted("create", refused)))
                    .on(apply, 503, Stub.PROBLEM, "{\"code\":\"unavailable\"}");
            assertThat(Run.of(stub.url(), "apply", file).requireOk().out())
                    .isEqualTo(
                            """
                            ACTION  SUBJECT       DETAIL  DONE  REASON
                            create  machines/vm1  guest   yes   -
                            """);
            Run different = Run.of(stub.url(), "apply", file);
            assertThat(different.code()).isEqualTo(4);
            assertThat(different.out()).contains("no    in use");
            Run.of(stub.url(), "apply", file).requireFailure(1, "unavailable", "repeat it");
            assertThat(stub.requests()).hasSize(3).containsOnly(apply + " {\"manager\":\"a\"}");
        }
    }

    @Test
    void assertFailsWithTheDifferences() throws IOException {
        String path = "POST /api/v1/desired/assert";
        try (Stub stub = new Stub()) {
            stub.on(path, 204, Stub.JSON, "")
                    .on(
                            path,
                            409,
                            Stub.PROBLEM,
                            "{\"code\":\"wrong-state\",\"detail\":\"differences=1: create x\"}");
            Run met = run(stub, "manager: b", "assert", "-").requireOk();
            assertThat(met.out()).isEqualTo("all is as it should be\n");
            run(stub, "manager: b", "assert", "-").requireFailure(4, "differences=1: create x");
            assertThat(stub.requests()).containsOnly(path + " manager: b");
        }
    }

    private static Run run(Stub stub, String in, String... arguments) {
        return Run.of(Map.of("MDEV_URL", stub.url()), false, in, List.of(arguments));
    }

    @Test
    void aFileThatCannotBeADocumentReachesNoService() throws IOException {
        String large = document("large.yaml", "#".repeat((1 << 20) + 1));
        try (Stub stub = new Stub()) {
            Run.of(stub.url(), "apply", large).requireFailure(2, "has more than 1048576 bytes");
            Run.of(stub.url(), "plan", large + "x").requireFailure(1, "cannot read file=");
            Run.of(stub.url(), "assert").requireFailure(2, "FILE");
            assertThat(stub.requests()).isEmpty();
        }
    }
}
