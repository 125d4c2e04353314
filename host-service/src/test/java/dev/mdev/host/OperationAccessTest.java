package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.springframework.test.annotation.DirtiesContext;
import org.springframework.test.context.TestPropertySource;

import java.util.Map;

/// The operations that a caller may see, and those that it may cancel.
@DirtiesContext
@TestPropertySource(properties = "mdev.operations.max-running-of-tenant=1")
class OperationAccessTest extends SecuredTest {
    private static final String OPERATIONS = "/api/v1/operations";
    private static final Map<String, String> ASYNC = Map.of("Prefer", "respond-async");

    /// Begins a removal that waits until it is cancelled.
    private String beginRemoval(As who, String mdev) {
        return who.send("DELETE", "/api/v1/mdevs/%s?grace=10m".formatted(mdev), "", ASYNC)
                .requireStatus(202)
                .header("Location");
    }

    private static String held(As who, String machine) {
        String mdev = who.createMdev("gpu0");
        who.post("/api/v1/machines", "{\"name\":\"%s\",\"ramMib\":1}".formatted(machine))
                .requireStatus(201);
        who.put("/api/v1/machines/%s/devices/%s".formatted(machine, mdev), "").requireStatus(201);
        return mdev;
    }

    private static void cancel(As who, String operation) {
        who.delete(operation).requireStatus(202);
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        while (!who.get(operation + "?wait=60s").at("/state").equals("cancelled")) {
            assertThat(System.nanoTime() - end).isNegative();
        }
    }

    @Test
    void whatATenantBeganDoesNotExistForAnother() {
        As red = tenant("red", "operator");
        As blue = tenant("blue", "admin");
        As watcher = tenant("red", "viewer");
        As narrow = token("operator", ",\"tenant\":\"red\",\"machines\":[\"other\"]");
        String mdev = held(red, "red1");

        String operation = beginRemoval(red, mdev);

        String id = operation.substring(OPERATIONS.length() + 1);
        for (As stranger : new As[] {blue, narrow}) {
            assertThat(stranger.get(OPERATIONS).requireStatus(200).text()).doesNotContain(id);
            assertThat(stranger.get("/api/v1/events?limit=1000").text()).doesNotContain(id);
            stranger.get(operation).requireProblem(404, "not-found");
            stranger.delete(operation).requireProblem(404, "not-found");
            stranger.delete(operation + "?dryRun=true").requireProblem(404, "not-found");
        }
        assertThat(watcher.get(OPERATIONS).text()).contains(id);
        assertThat(watcher.get("/api/v1/events?subject=operations/" + id).at("/items/0/kind"))
                .isEqualTo("operation_started");
        watcher.delete(operation).requireProblem(403, "denied");
        assertThat(admin.get(operation).requireStatus(200).at("/tenant")).isEqualTo("red");
        cancel(red, operation);
        red.delete("/api/v1/machines/red1").requireStatus(204);
    }

    @Test
    void anOperatorDoesNotCancelWhatAnAdministratorBegan() {
        As operator = token("operator", "");
        String mdev = held(admin, "vm1");
        String operation = beginRemoval(admin, mdev);

        operator.get(operation).requireStatus(200);
        Answer refused = operator.delete(operation);

        refused.requireProblem(403, "denied");
        assertThat(refused.at("/detail")).contains("role=admin");
        cancel(admin, operation);
    }

    @Test
    void aTenantHasOnlySoManyAndTakesNoOthersPlace() {
        As red = tenant("red", "operator");
        As blue = tenant("blue", "operator");
        String operation = beginRemoval(red, held(red, "red1"));
        String more = red.createMdev("gpu0");

        Answer full = red.send("DELETE", "/api/v1/mdevs/" + more, "", ASYNC);

        full.requireProblem(429, "too-many-requests");
        assertThat(full.at("/detail")).contains("mdev.operations.max-running-of-tenant");
        red.get("/api/v1/mdevs/" + more).requireStatus(200);
        String other = beginRemoval(blue, held(blue, "blue1"));
        cancel(blue, other);
        cancel(red, operation);
        red.delete("/api/v1/machines/red1").requireStatus(204);
    }
}
