package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.util.List;

/// Tenants of a running server: what one has does not exist for another.
class TenantTest extends SecuredTest {
    @Test
    void whatATenantHasDoesNotExistForAnother() {
        As red = tenant("red", "operator");
        As blue = tenant("blue", "operator");
        String mdev = red.createMdev("gpu0");
        red.post("/api/v1/machines", "{\"name\":\"red1\",\"ramMib\":1}").requireStatus(201);
        red.put("/api/v1/machines/red1/devices/" + mdev, "").requireStatus(201);
        String own = blue.createMdev("gpu0");

        for (String path :
                List.of(
                        "/api/v1/mdevs",
                        "/api/v1/machines",
                        "/api/v1/definitions",
                        "/api/v1/events?limit=1000",
                        "/api/v1/parents/gpu0/capacity",
                        "/api/v1/parents")) {
            assertThat(blue.get(path).requireStatus(200).text())
                    .as(path)
                    .doesNotContain(mdev)
                    .doesNotContain("red1");
        }
        assertThat(blue.get("/api/v1/parents/gpu0/capacity").text()).contains(own);
        assertThat(blue.get("/api/v1/events?limit=1000").text()).contains(own);
        for (String path :
                List.of(
                        "/api/v1/mdevs/" + mdev,
                        "/api/v1/mdevs/" + mdev + "/faults",
                        "/api/v1/mdevs/" + mdev + "/counters",
                        "/api/v1/mdevs/" + mdev + "/state",
                        "/api/v1/machines/red1",
                        "/api/v1/machines/red1/devices/" + mdev + "/interrupts")) {
            blue.get(path).requireProblem(404, "not-found");
            red.get(path).requireStatus(200);
        }
        blue.delete("/api/v1/mdevs/" + mdev).requireProblem(404, "not-found");
        blue.post("/api/v1/mdevs/" + mdev + "/revoke", "").requireProblem(404, "not-found");
        blue.delete("/api/v1/machines/red1").requireProblem(404, "not-found");
        blue.put("/api/v1/machines/red1/devices/" + own, "").requireProblem(404, "not-found");
        red.put("/api/v1/machines/red1/devices/" + own, "").requireProblem(404, "not-found");
        assertThat(red.get("/api/v1/mdevs").body().at("/items")).hasSize(1);
        assertThat(admin.get("/api/v1/mdevs").body().at("/items")).hasSize(2);
    }

    @Test
    void aDefinitionIsItsTenants() {
        As red = tenant("red", "operator");
        As blue = tenant("blue", "operator");
        String path = "/api/v1/definitions/77777777-7777-4777-8777-777777777777";
        String definition = "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\"}";
        red.put(path, definition).requireStatus(201);

        blue.get(path).requireProblem(404, "not-found");
        blue.put(path, definition).requireProblem(404, "not-found");
        assertThat(blue.get("/api/v1/definitions").body().at("/items")).isEmpty();
        red.get(path).requireStatus(200);

        red.delete(path).requireStatus(204);
        blue.put(path, definition).requireStatus(201);
        red.get(path).requireProblem(404, "not-found");
    }

    @Test
    void aQuotaHoldsUntilSomethingEnds() {
        As red = tenant("red", "operator");
        String first = red.createMdev("gpu0");
        red.createMdev("gpu1");
        String third = "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\"}";
        Answer refused = red.post("/api/v1/mdevs", third).requireProblem(409, "no-capacity");
        assertThat(refused.at("/detail")).contains("tenant=red", "devices: 3 wanted");
        red.put("/api/v1/definitions/77777777-7777-4777-8777-777777777777", third)
                .requireProblem(409, "no-capacity");
        red.post("/api/v1/mdevs?dryRun=true", third).requireProblem(409, "no-capacity");
        red.put("/api/v1/definitions/77777777-7777-4777-8777-777777777777?dryRun=true", third)
                .requireProblem(409, "no-capacity");
        admin.createMdev("gpu0");

        red.delete("/api/v1/mdevs/" + first).requireStatus(204);
        red.post("/api/v1/mdevs?dryRun=true", third).requireStatus(204);
        red.post("/api/v1/mdevs", third).requireStatus(201);
    }

    @Test
    void quotasOfMachinesRamAndPagesHold() {
        As red = tenant("red", "operator");
        Answer tooBig =
                red.post("/api/v1/machines", "{\"name\":\"m1\",\"ramMib\":3}")
                        .requireProblem(409, "no-capacity");
        assertThat(tooBig.at("/detail")).contains("ramBytes");
        red.post("/api/v1/machines", "{\"name\":\"m1\",\"ramMib\":2}").requireStatus(201);
        red.post("/api/v1/machines", "{\"name\":\"m2\"}").requireProblem(409, "no-capacity");
        As blue = tenant("blue", "operator");
        blue.createMdev("gpu0");
        blue.createMdev("gpu0");
        Answer pages =
                blue.post("/api/v1/mdevs", "{\"parent\":\"gpu1\",\"type\":\"gpu-sample-16m\"}")
                        .requireProblem(409, "no-capacity");
        assertThat(pages.at("/detail")).contains("pages of pool=vram");
    }

    @Test
    void aTokenOfSomeParentsAndMachinesSeesNoOthers() {
        As narrow = token("operator", ",\"parents\":[\"gpu1\"],\"machines\":[\"vm1\"]");
        String other = admin.createMdev("gpu0");
        String mdev = narrow.createMdev("gpu1");
        admin.post("/api/v1/machines", "{\"name\":\"vm2\",\"ramMib\":1}").requireStatus(201);
        narrow.post("/api/v1/machines", "{\"name\":\"vm3\"}").requireProblem(403, "denied");
        narrow.post("/api/v1/machines", "{\"name\":\"vm1\",\"ramMib\":1}").requireStatus(201);

        assertThat(narrow.get("/api/v1/parents").text()).contains("gpu1").doesNotContain("gpu0");
        narrow.get("/api/v1/parents/gpu0").requireProblem(404, "not-found");
        narrow.get("/api/v1/mdevs/" + other).requireProblem(404, "not-found");
        narrow.get("/api/v1/machines/vm2").requireProblem(404, "not-found");
        narrow.post("/api/v1/mdevs", "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\"}")
                .requireProblem(422, "invalid");
        narrow.put("/api/v1/machines/vm1/devices/" + mdev, "").requireStatus(201);
        assertThat(narrow.get("/api/v1/events?limit=1000").requireStatus(200).text())
                .contains(mdev)
                .doesNotContain(other)
                .doesNotContain("vm2");
    }
}
