package dev.mdev.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.io.IOException;
import java.util.List;
import java.util.Map;

/// Work that goes on in the service.
class OperationVerbsTest {
    private static final String UUID = "11111111-1111-4111-8111-111111111111";
    private static final String ID = "4f0c2a91-0000000007";

    private static String operation(String state, String more) {
        return "{\"id\":\"%s\",\"verb\":\"remove\",\"target\":\"mdevs/%s\",\"state\":\"%s\",\"caller\":\"me\",\"started\":\"2026-11-30T06:00:00Z\"%s}"
                .formatted(ID, UUID, state, more);
    }

    @Test
    void aVerbThatDoesNotWaitPrintsTheOperation() throws IOException {
        try (Stub stub = new Stub()) {
            stub.on(
                            "DELETE /api/v1/mdevs/%s?grace=600s".formatted(UUID),
                            202,
                            Stub.JSON,
                            operation("running", ""))
                    .on(
                            "POST /api/v1/parents/gpu0/repair",
                            202,
                            Stub.JSON,
                            operation("running", ""));

            assertThat(
                            Run.of(stub.url(), "delete", UUID, "--grace", "10m", "--async")
                                    .requireOk()
                                    .out())
                    .isEqualTo(ID + "\n");
            assertThat(Run.of(stub.url(), "parents", "repair", "gpu0", "--async").requireOk().out())
                    .isEqualTo(ID + "\n");
            assertThat(stub.preferences()).containsExactly("respond-async", "respond-async");
        }
    }

    @Test
    void theListTellsHowFarEachIs() throws IOException {
        try (Stub stub = new Stub()) {
            stub.onGet(
                    "operations",
                    "{\"items\":[%s,%s]}"
                            .formatted(
                                    operation(
                                            "running",
                                            ",\"progress\":{\"unit\":\"pages\",\"done\":64,\"total\":4096}"),
                                    operation("failed", "")));

            assertThat(Run.of(stub.url(), "operations").requireOk().out().lines().skip(1))
                    .satisfiesExactly(
                            line -> assertThat(line).contains(ID, "remove", "64 of 4096 pages"),
                            line -> assertThat(line).contains("failed"));
        }
    }

    @Test
    void waitingEndsWithTheOperationAndItsEndIsTheExitCode() throws IOException {
        String path = "operations/" + ID + "?wait=2s";
        try (Stub stub = new Stub()) {
            stub.onGet(path, operation("running", ",\"doing\":\"waits\""))
                    .onGet(path, operation("done", ",\"status\":204"));
            assertThat(Run.of(stub.url(), "operations", "wait", ID).requireOk().out())
                    .contains("state    done")
                    .doesNotContain("waits");
        }
        try (Stub stub = new Stub()) {
            stub.onGet(
                    path,
                    operation(
                            "failed",
                            ",\"problem\":{\"code\":\"busy\",\"detail\":\"vm1 has it\"}"));
            Run failed = Run.of(stub.url(), "operations", "wait", ID);
            assertThat(failed.code()).isEqualTo(1);
            assertThat(failed.out()).contains("busy").contains("vm1 has it");
        }
        try (Stub stub = new Stub()) {
            stub.onGet("operations/" + ID + "?wait=0s", operation("running", ""));
            assertThat(Run.of(stub.url(), "operations", "wait", ID, "--for", "0s").code())
                    .isEqualTo(4);
        }
    }

    @Test
    void whoeverLooksAtATerminalSeesHowFarItIs() throws IOException {
        String path = "operations/" + ID + "?wait=2s";
        try (Stub stub = new Stub()) {
            stub.onGet(
                            path,
                            operation(
                                    "running",
                                    ",\"doing\":\"scrubs\\u001b[31m\",\"progress\":{\"unit\":\"pages\",\"done\":64,\"total\":4096}"))
                    .onGet(path, operation("done", ""));

            Run run =
                    Run.of(
                            Map.of("MDEV_URL", stub.url(), "TERM", "xterm"),
                            true,
                            "",
                            List.of("operations", "wait", ID));

            assertThat(run.out() + run.errors())
                    .contains("64 of 4096 pages")
                    .doesNotContain("scrubs\u001b");
        }
    }

    @Test
    void cancellingSaysSoOrWhyNot() throws IOException {
        try (Stub stub = new Stub()) {
            stub.on("DELETE /api/v1/operations/" + ID, 202, Stub.JSON, operation("cancelling", ""))
                    .on(
                            "DELETE /api/v1/operations/" + ID,
                            409,
                            Stub.PROBLEM,
                            "{\"code\":\"wrong-state\",\"detail\":\"it can only be completed\"}");

            assertThat(Run.of(stub.url(), "operations", "cancel", ID).requireOk().out())
                    .isEqualTo("cancelling operation %s\n".formatted(ID));
            Run.of(stub.url(), "operations", "cancel", ID)
                    .requireFailure(4, "wrong-state: it can only be completed");
        }
    }
}
