package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.test.context.TestPropertySource;
import org.springframework.web.bind.annotation.RequestMethod;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerMapping;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;

/// Requests that only ask whether they would be done.
@TestPropertySource(properties = "mdev.access.authentication=none")
class DryRunTest extends HostTest {
    private static final List<String> STATE =
            List.of(
                    "/api/v1/mdevs",
                    "/api/v1/definitions",
                    "/api/v1/machines",
                    "/api/v1/parents",
                    "/api/v1/tokens");

    private static final String ABSENT = "99999999-9999-4999-8999-999999999999";

    @Autowired
    @Qualifier("requestMappingHandlerMapping")
    private RequestMappingHandlerMapping mapping = new RequestMappingHandlerMapping();

    private List<String> state() {
        return STATE.stream().map(path -> api.get(path).requireStatus(200).text()).toList();
    }

    private Answer send(String method, String path, String body) {
        return switch (method) {
            case "PUT" -> api.put(path, body);
            case "POST" -> api.post(path, body);
            case "PATCH" -> api.patch(path, body);
            default -> api.delete(path);
        };
    }

    private Answer dry(String method, String path, String body) {
        List<String> before = state();
        Answer answer = send(method, path + (path.contains("?") ? "&" : "?") + "dryRun=true", body);
        assertThat(state()).as("%s %s", method, path).isEqualTo(before);
        return answer;
    }

    @Test
    void everyCallThatChangesSomethingTakesIt() {
        List<String> without = new ArrayList<>();
        mapping.getHandlerMethods()
                .forEach((info, handler) -> {
                    boolean reads =
                            info.getMethodsCondition().getMethods().contains(RequestMethod.GET);
                    boolean takes =
                            Arrays.stream(handler.getMethod().getParameters())
                                    .anyMatch(it -> it.getName().equals("dryRun"));
                    for (String path : info.getPatternValues()) {
                        if (path.startsWith("/api/") && !reads && !takes) {
                            without.add(path);
                        }
                    }
                });
        // These only look at a document.
        assertThat(without)
                .containsExactlyInAnyOrder(
                        "/api/v1/session",
                        "/api/v1/session",
                        "/api/v1/desired/plan",
                        "/api/v1/desired/assert");
    }

    @Test
    void aDryRunIsAnsweredAsTheCallIsAndChangesNothing() {
        int count = 0;
        for (OpenApiTour.Stop stop : OpenApiTour.stops()) {
            if (stop.method().equals("GET")
                    || stop.pattern().matches("/api/v1/(session|desired/.*)")) {
                continue;
            }
            Answer dry = dry(stop.method(), stop.realPath(), stop.body());
            Answer real = send(stop.method(), stop.realPath(), stop.body());

            real.requireStatus(stop.status());
            assertThat(dry.status())
                    .as("%s: %s", stop.call(), dry.text())
                    .isEqualTo(real.status() < 300 ? 204 : real.status());
            assertThat(dry.at("/code")).isEqualTo(real.at("/code"));
            count++;
        }
        assertThat(count).isGreaterThan(20);
    }

    private void requireBothRefused(String method, String path, String body, String code) {
        Answer dry = dry(method, path, body);
        Answer real = send(method, path, body);

        assertThat(dry.at("/code")).as("%s %s: %s", method, path, dry.text()).isEqualTo(code);
        assertThat(real.at("/code")).as("%s %s: %s", method, path, real.text()).isEqualTo(code);
        assertThat(dry.status()).isEqualTo(real.status());
    }

    @Test
    void whatRefusesADeviceRefusesItsDryRun() {
        UUID big = api.createMdev("gpu0", "gpu-sample-128m");
        api.createMachine("vm1", big);
        String path = "/api/v1/mdevs/" + big;
        String device = "{\"parent\":\"%s\",\"type\":\"%s\"%s}";

        requireBothRefused("POST", "/api/v1/mdevs", device.formatted("absent", "t", ""), "invalid");
        requireBothRefused("POST", "/api/v1/mdevs", device.formatted("gpu0", "t", ""), "invalid");
        requireBothRefused(
                "POST",
                "/api/v1/mdevs",
                device.formatted("gpu0", "gpu-sample-16m", ",\"autostart\":true"),
                "invalid");
        requireBothRefused(
                "POST",
                "/api/v1/mdevs",
                device.formatted("gpu0", "gpu-sample-16m", ",\"uuid\":\"%s\"".formatted(big)),
                "exists");
        requireBothRefused("PUT", path, device.formatted("gpu0", "gpu-sample-16m", ""), "exists");
        requireBothRefused("DELETE", path, "", "busy");
        requireBothRefused("POST", path + "/stop", "", "busy");
        requireBothRefused("POST", path + "/start", "", "not-found");
        requireBothRefused("POST", path + "/adopt", "", "denied");
        requireBothRefused("POST", path + "/revoke", "{\"region\":9}", "invalid");
        requireBothRefused("PATCH", path, "{\"labels\":{\"-\":\"x\"}}", "invalid");
        requireBothRefused("DELETE", "/api/v1/mdevs/" + ABSENT, "", "not-found");
        requireBothRefused("POST", "/api/v1/mdevs/%s/reset".formatted(ABSENT), "", "not-found");
        requireBothRefused("DELETE", "/api/v1/parents/gpu0", "", "busy");
        api.createMdev("gpu0", "gpu-sample-128m");
        requireBothRefused(
                "POST",
                "/api/v1/mdevs",
                device.formatted("gpu0", "gpu-sample-16m", ""),
                "no-capacity");
        String definition = "/api/v1/definitions/" + ABSENT;
        api.put(definition, device.formatted("gpu0", "gpu-sample-16m", "")).requireStatus(201);
        requireBothRefused(
                "PUT", definition, device.formatted("gpu0", "gpu-sample-32m", ""), "exists");
        requireBothRefused("POST", "/api/v1/mdevs/%s/start".formatted(ABSENT), "", "no-capacity");
        requireBothRefused("POST", "/api/v1/mdevs/%s/stop".formatted(ABSENT), "", "not-found");
        requireBothRefused("DELETE", "/api/v1/definitions/" + big, "", "not-found");
    }

    @Test
    void whatRefusesAMachineRefusesItsDryRun() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        api.createMachine("vm2");
        String machine = "{\"name\":\"%s\",\"ramMib\":%d}";

        requireBothRefused("POST", "/api/v1/machines", machine.formatted("vm1", 1), "exists");
        requireBothRefused(
                "POST", "/api/v1/machines", machine.formatted("vm3", 100_000), "no-capacity");
        requireBothRefused("DELETE", "/api/v1/machines/absent", "", "not-found");
        requireBothRefused("PUT", "/api/v1/machines/vm2/devices/" + mdev, "", "busy");
        requireBothRefused("DELETE", "/api/v1/machines/vm2/devices/" + mdev, "", "not-found");
        requireBothRefused("POST", "/api/v1/machines/vm1/vcpus/7/interrupt", "", "not-found");
        requireBothRefused(
                "POST",
                "/api/v1/machines/vm1/vcpus/0/programs",
                "{\"steps\":[{\"op\":\"smi\"}]}",
                "invalid");
        requireBothRefused("POST", "/api/v1/machines/vm1/dirty-log/clear", "", "wrong-state");
        requireBothRefused("POST", "/api/v1/parents", "{\"driver\":\"absent\"}", "invalid");
        requireBothRefused(
                "DELETE", "/api/v1/definitions/quarantined/absent.mdev", "", "not-found");
    }

    @Test
    void anImportNamesEachFileThatWouldBeRefused() {
        String files =
                """
                {"files":[{"path":"gpu0/%s","text":"{\\"mdev_type\\":\\"gpu-sample-16m\\",\\"start\\":\\"auto\\"}"},
                          {"path":"gpu0/x","text":"{}"}]}\
                """
                        .formatted(ABSENT);

        Answer dry = dry("POST", "/api/v1/definitions/import", files);

        dry.requireProblem(422, "invalid");
        dry.requireViolation("/files/1", "PARENT/UUID");
        assertThat(dry.body().at("/violations").size()).isEqualTo(1);
    }

    @Test
    void aDryRunSaysItPlainlyAndTheAuditLogShowsIt() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        String path = "/api/v1/mdevs/" + mdev;
        api.delete(path + "?dryRun=perhaps").requireProblem(400, "malformed");
        api.delete(path + "?dryRun=true&dryRun=false").requireProblem(400, "malformed");
        api.get(path + "?dryRun=true").requireProblem(400, "malformed");

        api.delete(path + "?dryRun=true").requireStatus(204);

        api.get(path).requireStatus(200);
        assertThat(api.namesOf("/api/v1/audit?limit=1000", "/path"))
                .contains(path + "?dryRun=true")
                .doesNotContain(path);
        api.delete(path + "?dryRun=false").requireStatus(204);
        api.get(path).requireProblem(404, "not-found");
    }
}
