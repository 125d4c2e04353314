package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.test.context.TestPropertySource;

import java.net.URI;
import java.net.http.HttpRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/// Documents of what should be.
@TestPropertySource(properties = {"mdev.access.authentication=none", "mdev.driver-deadline=60s"})
class DesiredTest extends HostTest {
    private static final String DESIRED = "/api/v1/desired";
    private static final String ONE = "11111111-1111-4111-8111-111111111111";
    private static final String TWO = "22222222-2222-4222-8222-222222222222";

    private static final String ALL =
            """
            manager: site
            prune: true
            definitions:
              %s: {parent: gpu0, type: gpu-sample-16m}
            mdevs:
              %s: {parent: gpu0, type: gpu-sample-64m, labels: {env: prod}, displayName: first}
              %s: {parent: gpu0, type: gpu-sample-16m}
            machines:
              - {name: vm1, ramMib: 1}
            attachments:
              vm1: [%s]
            """
                    .formatted(TWO, ONE, TWO, ONE);

    private Answer send(String method, String path, String document) {
        return api.send(
                method, DESIRED + path, document, Map.of("Content-Type", "application/yaml"));
    }

    private Answer apply(String document) {
        return send("PUT", "", document).requireStatus(200);
    }

    private static List<String> steps(Answer answer) {
        List<String> steps = new ArrayList<>();
        answer.body()
                .at("/steps")
                .forEach(step ->
                        steps.add(
                                step.at("/action").asString()
                                        + " "
                                        + step.at("/subject").asString()));
        return steps;
    }

    private static boolean isMet(Answer answer) {
        return answer.body().at("/met").asBoolean();
    }

    @Test
    void aDocumentIsPlannedAppliedAndMet() {
        List<String> expected =
                List.of(
                        "define mdevs/" + TWO,
                        "create mdevs/" + ONE,
                        "start mdevs/" + TWO,
                        "create machines/vm1",
                        "attach mdevs/" + ONE);
        Answer plan = send("POST", "/plan", ALL).requireStatus(200);
        assertThat(steps(plan)).isEqualTo(expected);
        assertThat(isMet(plan)).isFalse();
        assertThat(api.namesOf("/api/v1/mdevs", "/uuid")).isEmpty();
        Answer different = send("POST", "/assert", ALL);
        different.requireProblem(409, "wrong-state");
        assertThat(different.at("/detail")).contains("differences=5").contains(ONE);

        Answer applied = apply(ALL);

        assertThat(steps(applied)).isEqualTo(expected);
        assertThat(isMet(applied)).as(applied.text()).isTrue();
        send("POST", "/assert", ALL).requireStatus(204);
        Answer first = api.get("/api/v1/mdevs/" + ONE).requireStatus(200);
        assertThat(first.at("/machine")).isEqualTo("vm1");
        assertThat(first.at("/displayName")).isEqualTo("first");
        assertThat(first.at("/labels/managed-by")).isEqualTo("site");
        assertThat(first.at("/labels/env")).isEqualTo("prod");
        Answer second = api.get("/api/v1/mdevs/" + TWO).requireStatus(200);
        assertThat(second.body().at("/state/defined").asBoolean()).isTrue();
        assertThat(second.at("/state/activity")).isEqualTo("active");
        assertThat(api.get("/api/v1/machines/vm1").at("/labels/managed-by")).isEqualTo("site");

        Answer again = apply(ALL);

        assertThat(steps(again)).as("a document that is met changes nothing").isEmpty();
        assertThat(isMet(again)).isTrue();
    }

    @Test
    void whatDriftedIsPutRight() {
        apply(ALL);
        api.delete("/api/v1/machines/vm1/devices/" + ONE).requireStatus(204);
        api.post("/api/v1/mdevs/%s/stop".formatted(TWO), "").requireStatus(200);
        api.patch("/api/v1/mdevs/" + ONE, "{\"labels\":{\"env\":\"test\",\"own\":\"x\"}}")
                .requireStatus(200);

        assertThat(steps(apply(ALL)))
                .containsExactly("label mdevs/" + ONE, "start mdevs/" + TWO, "attach mdevs/" + ONE);

        Answer labels = api.get("/api/v1/mdevs/" + ONE);
        assertThat(labels.at("/labels/env")).isEqualTo("prod");
        assertThat(labels.at("/labels/own")).as("what others wrote stays").isEqualTo("x");
        assertThat(steps(apply(ALL.replace("16m}\nmdevs", "16m, autostart: true}\nmdevs"))))
                .containsExactly("change mdevs/" + TWO);
        assertThat(api.get("/api/v1/definitions/" + TWO).body().at("/autostart").asBoolean())
                .isTrue();
    }

    @Test
    void onlyWhatADocumentMadeIsPruned() {
        UUID foreign = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("own");
        apply(ALL);
        apply(
                "{manager: other, mdevs: {33333333-3333-4333-8333-333333333333: {parent: gpu0,"
                        + " type: gpu-sample-16m}}}");
        String empty = "{\"manager\":\"site\"}";
        assertThat(steps(apply(empty))).as("without prune, nothing goes").isEmpty();

        Answer pruned = apply("manager: site\nprune: true\n");

        assertThat(isMet(pruned)).as(pruned.text()).isTrue();
        assertThat(steps(pruned))
                .containsExactlyInAnyOrder(
                        "remove machines/vm1", "remove mdevs/" + ONE, "remove mdevs/" + TWO);
        assertThat(api.namesOf("/api/v1/mdevs", "/uuid"))
                .containsExactlyInAnyOrder(
                        foreign.toString(), "33333333-3333-4333-8333-333333333333");
        assertThat(api.namesOf("/api/v1/machines", "/name")).containsExactly("own");
        assertThat(api.namesOf("/api/v1/definitions", "/uuid")).isEmpty();
    }

    @Test
    void aDeviceThatIsNotToBeInAManagedMachineIsDetached() {
        apply(ALL);
        String without = ALL.substring(0, ALL.indexOf("attachments:"));

        assertThat(steps(apply(without))).containsExactly("detach mdevs/" + ONE);

        assertThat(api.get("/api/v1/mdevs/" + ONE).at("/machine")).isEmpty();
    }

    @Test
    void whatIsDifferentStaysAndTheRestIsDone() {
        api.put("/api/v1/mdevs/" + ONE, "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-32m\"}")
                .requireStatus(201);
        api.post("/api/v1/machines", "{\"name\":\"vm1\",\"ramMib\":2}").requireStatus(201);

        Answer applied = apply(ALL);

        assertThat(isMet(applied)).isFalse();
        assertThat(steps(applied))
                .containsExactly(
                        "define mdevs/" + TWO,
                        "conflict mdevs/" + ONE,
                        "start mdevs/" + TWO,
                        "conflict machines/vm1");
        assertThat(applied.at("/steps/1/code")).isEqualTo("exists");
        assertThat(applied.at("/steps/1/reason")).contains("gpu-sample-32m");
        assertThat(api.get("/api/v1/mdevs/" + ONE).at("/type")).isEqualTo("gpu-sample-32m");
        assertThat(api.get("/api/v1/mdevs/" + TWO).at("/state/activity")).isEqualTo("active");
    }

    @Test
    void whatCannotBeComparedIsAConflictAndTheRestIsDone() {
        Answer applied =
                apply(
                        """
                        manager: m
                        definitions:
                          %s: {parent: gpu0, type: unknown}
                          %s: {parent: absent, type: any}
                        mdevs:
                          33333333-3333-4333-8333-333333333333: {parent: absent, type: any}
                        """
                                .formatted(ONE, TWO));

        assertThat(isMet(applied)).isFalse();
        assertThat(steps(applied))
                .containsExactly(
                        "conflict mdevs/" + ONE,
                        "define mdevs/" + TWO,
                        "create mdevs/33333333-3333-4333-8333-333333333333");
        assertThat(applied.at("/steps/0/code")).isEqualTo("invalid");
        assertThat(applied.body().at("/steps/1/done").asBoolean()).isTrue();
        assertThat(applied.at("/steps/2/code")).isEqualTo("invalid");
        assertThat(applied.at("/steps/2/reason")).contains("absent");
        assertThat(api.namesOf("/api/v1/definitions", "/uuid")).containsExactly(TWO);
    }

    private static String document(String manager, String more) {
        return "{manager: %s, mdevs: {%s: {parent: gpu0, type: gpu-sample-16m%s}}}"
                .formatted(manager, ONE, more);
    }

    @Test
    void documentsOfTwoManagersDoNotFightOverADevice() {
        apply(document("first", ""));

        Answer second = apply(document("second", ", labels: {own: x}"));

        assertThat(steps(second)).containsExactly("conflict mdevs/" + ONE);
        assertThat(second.at("/steps/0/code")).isEqualTo("exists");
        assertThat(second.at("/steps/0/reason")).contains("managed-by=first");
        assertThat(steps(apply("{manager: second, prune: true}"))).isEmpty();
        assertThat(api.get("/api/v1/mdevs/" + ONE).body().at("/labels").properties()).hasSize(1);
        assertThat(isMet(apply(document("first", "")))).isTrue();
    }

    @Test
    void aDeviceThatIsInUseIsNeverPruned() {
        apply(document("m", ""));
        api.createMachine("own", UUID.fromString(ONE));

        Answer pruned = apply("{manager: m, prune: true}");

        assertThat(steps(pruned)).containsExactly("remove mdevs/" + ONE);
        assertThat(pruned.at("/steps/0/code")).isEqualTo("busy");
        assertThat(isMet(pruned)).isFalse();
        assertThat(api.get("/api/v1/mdevs/" + ONE).at("/machine")).isEqualTo("own");
    }

    @Test
    void aDeviceMovesFromOneManagedMachineToAnother() {
        String machines =
                "{manager: m, prune: true, mdevs: {%s: {parent: gpu0, type: gpu-sample-16m}},"
                        + " machines: [{name: vm1, ramMib: 1}, {name: vm2, ramMib: 1}],"
                        + " attachments: {%s: [%s]}}";
        apply(machines.formatted(ONE, "vm1", ONE));

        Answer moved = apply(machines.formatted(ONE, "vm2", ONE));

        assertThat(steps(moved)).containsExactly("detach mdevs/" + ONE, "attach mdevs/" + ONE);
        assertThat(isMet(moved)).isTrue();
        assertThat(api.get("/api/v1/mdevs/" + ONE).at("/machine")).isEqualTo("vm2");
        Answer kept = apply(machines.replace("prune: true, ", "").formatted(ONE, "vm1", ONE));
        assertThat(steps(kept)).as("without prune").containsExactly("conflict mdevs/" + ONE);
    }

    @Test
    void aDeviceThatSomebodyElsePutIntoAManagedMachineStays() {
        String vm1 = "{manager: m, prune: true, machines: [{name: vm1, ramMib: 1}]}";
        apply(vm1);
        UUID own = api.createMdev("gpu0", "gpu-sample-16m");
        api.put("/api/v1/machines/vm1/devices/" + own, "").requireStatus(201);

        assertThat(steps(apply(vm1))).isEmpty();

        assertThat(api.get("/api/v1/mdevs/" + own).at("/machine")).isEqualTo("vm1");
    }

    @Test
    void whetherADeviceOfADocumentStartsByItselfCanChange() {
        apply(document("m", ", persist: true"));
        assertThat(api.get("/api/v1/definitions/" + ONE).body().at("/autostart").asBoolean())
                .isFalse();

        String starts = document("m", ", persist: true, autostart: true");
        assertThat(steps(apply(starts))).containsExactly("change mdevs/" + ONE);

        assertThat(api.get("/api/v1/definitions/" + ONE).body().at("/autostart").asBoolean())
                .isTrue();
        assertThat(steps(apply(starts))).isEmpty();
        assertThat(api.get("/api/v1/mdevs/" + ONE).at("/labels/managed-by")).isEqualTo("m");
    }

    @Test
    void aNewDeviceHasNoLabelsOfAnOlderOne() {
        apply(document("other", ", labels: {old: x}"));
        api.delete("/api/v1/mdevs/" + ONE).requireStatus(204);

        assertThat(isMet(apply(document("m", ", labels: {new: x}")))).isTrue();

        assertThat(api.get("/api/v1/mdevs/" + ONE).body().at("/labels").propertyNames())
                .containsExactlyInAnyOrder("managed-by", "new");
    }

    @Test
    void anExternalMachineOfOtherSocketsIsAConflict() {
        String document = "{manager: m, machines: [{name: vm1, kind: external%s}]}";
        assertThat(isMet(apply(document.formatted("")))).isTrue();
        assertThat(isMet(apply(document.formatted(", socket: {mode: \"0600\"}")))).isTrue();

        Answer other = apply(document.formatted(", socket: {mode: \"0660\"}"));

        assertThat(steps(other)).containsExactly("conflict machines/vm1");
        assertThat(other.at("/steps/0/reason")).contains("mode=rw-------");
    }

    @Test
    void theAuditLogHasEachStep() {
        String id = apply(document("m", "")).header("X-Request-Id");

        List<String> records = new ArrayList<>();
        long after = 0;
        for (Answer part = audit(after); !part.body().at("/items").isEmpty(); part = audit(after)) {
            for (var record : part.body().at("/items")) {
                after = record.at("/number").asLong();
                if (record.at("/request").asString().equals(id)) {
                    records.add(
                            "%s %s %s %s"
                                    .formatted(
                                            record.at("/phase").asString(),
                                            record.at("/method").asString(),
                                            record.at("/path").asString(),
                                            record.at("/status").asString("")));
                }
            }
        }
        assertThat(records)
                .containsExactly(
                        "asked PUT /api/v1/desired ",
                        "asked PUT /api/v1/mdevs/%s ".formatted(ONE),
                        "done PUT /api/v1/mdevs/%s 200".formatted(ONE),
                        "done PUT /api/v1/desired 200");
    }

    private Answer audit(long after) {
        return api.get("/api/v1/audit?limit=1000&after=" + after).requireStatus(200);
    }

    @Test
    void oneDocumentIsAppliedAtATime() throws InterruptedException {
        CompletableFuture<Answer> slow =
                CompletableFuture.supplyAsync(() ->
                        send(
                                "PUT",
                                "",
                                "{manager: m, mdevs: {%s: {parent: hostile, type: hangs-at-create}}}"
                                        .formatted(ONE)));
        HostileDriver.Stuck.awaitEntered();

        send("PUT", "", document("m", "")).requireProblem(503, "unavailable");
        Answer plan = send("POST", "/plan", document("m", "")).requireStatus(200);
        assertThat(steps(plan)).containsExactly("conflict mdevs/" + ONE);

        HostileDriver.Stuck.releaseAll();
        assertThat(isMet(slow.join().requireStatus(200))).isTrue();
    }

    @Test
    void aDryRunOnlyReadsTheDocument() {
        send("PUT", "?dryRun=true", document("m", "")).requireStatus(204);
        send("PUT", "?dryRun=true", "{manager: a b}").requireProblem(422, "invalid");
        assertThat(api.namesOf("/api/v1/mdevs", "/uuid")).isEmpty();
    }

    @Test
    void plainWordsAreTextsUnlessTheyAreNumbersTrueOrFalse() {
        apply(document("m", ", labels: {country: no, since: 2001-12-14, n: 010}"));

        Answer device = api.get("/api/v1/mdevs/" + ONE);
        assertThat(device.at("/labels/country")).isEqualTo("no");
        assertThat(device.at("/labels/since")).isEqualTo("2001-12-14");
        assertThat(device.at("/labels/n")).isEqualTo("010");
    }

    @Test
    void aStepThatFailsSaysWhyAndIsTriedAgain() {
        UUID big = api.createMdev("gpu0", "gpu-sample-128m");
        api.createMdev("gpu0", "gpu-sample-128m");
        String document =
                "{manager: m, mdevs: {%s: {parent: gpu0, type: gpu-sample-128m}}}".formatted(ONE);

        Answer failed = apply(document);

        assertThat(isMet(failed)).isFalse();
        assertThat(failed.body().at("/steps/0/done").asBoolean()).isFalse();
        assertThat(failed.at("/steps/0/code")).isEqualTo("no-capacity");
        assertThat(failed.at("/steps/0/reason")).contains("the maximum number");
        api.delete("/api/v1/mdevs/" + big).requireStatus(204);
        assertThat(isMet(apply(document))).isTrue();
    }

    @Test
    void jsonIsADocumentToo() {
        String json = "{\"manager\":\"site\",\"machines\":[{\"name\":\"vm1\",\"ramMib\":1}]}";
        assertThat(isMet(api.put(DESIRED, json).requireStatus(200))).isTrue();
        assertThat(isMet(api.put(DESIRED, json).requireStatus(200))).isTrue();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "manager: [            | 400 | malformed",
                "''                    | 400 | malformed",
                "{}                    | 422 | invalid",
                "{manager: a b}        | 422 | invalid",
                "{manager: a, x: 1}    | 400 | malformed",
                "{manager: a, manager: b} | 400 | malformed",
                "{manager: 1}          | 400 | malformed",
                "[]                    | 400 | malformed",
                "{manager: a, machines: [&x {name: y}, *x]} | 400 | malformed",
                "{manager: a, mdevs: {z: {parent: gpu0, type: t}}} | 422 | invalid",
                "{manager: a, machines: [{name: y}, {name: y}]} | 422 | invalid",
                "{manager: a, machines: [{name: ../y}]} | 422 | invalid",
                "!!java.lang.Object {} | 400 | malformed",
                "{~: a}                | 400 | malformed",
                "{manager: a, prune: yes} | 400 | malformed",
                "{manager: a, machines: [{name: y, ramMib: 010}]} | 400 | malformed",
                "{manager: a, machines: [{name: y, kind: external, ramMib: 1}]} | 422 | invalid",
                "{manager: a, attachments: {x: [11111111-1111-4111-8111-111111111111], y:"
                        + " [11111111-1111-4111-8111-111111111111]}} | 422 | invalid",
                "{manager: a, attachments: {../x: []}} | 422 | invalid",
                "{manager: a, mdevs: {aaaaaaaa-1111-4111-8111-111111111111: {parent: p, type: t},"
                        + " AAAAAAAA-1111-4111-8111-111111111111: {parent: p, type: t}}} | 422"
                        + " | invalid",
                "{manager: a, mdevs: {11111111-1111-4111-8111-111111111111: {parent: p, type: t,"
                        + " autostart: true}}} | 422 | invalid",
                "{manager: a, mdevs: {11111111-1111-4111-8111-111111111111: {parent: p, type: t,"
                        + " labels: {managed-by: b}}}} | 422 | invalid",
                "{manager: a, definitions: {11111111-1111-4111-8111-111111111111: {parent: p, type:"
                    + " t}}, mdevs: {11111111-1111-4111-8111-111111111111: {parent: p, type: u}}} |"
                    + " 422 | invalid",
                "{manager: a, mdevs: {11111111-1111-4111-8111-111111111111: {parent: absent, type:"
                        + " t, labels: {a b: x}}}} | 422 | invalid",
            })
    void whatIsNoDocumentIsRefused(String document, int status, String code) {
        for (String path : List.of("/plan", "/assert")) {
            send("POST", path, document).requireProblem(status, code);
        }
        send("PUT", "", document).requireProblem(status, code);
        assertThat(api.namesOf("/api/v1/mdevs", "/uuid")).isEmpty();
        assertThat(api.namesOf("/api/v1/machines", "/name")).isEmpty();
    }

    @Test
    void aViolationNamesItsPlace() {
        send("PUT", "", document("m", ", labels: {managed-by: b}"))
                .requireProblem(422, "invalid")
                .requireViolation("/mdevs/%s/labels/managed-by".formatted(ONE), "manager says it");
    }

    @Test
    void bytesThatAreNoTextAreRefused() {
        byte[] bytes = {'m', 'a', 'n', 'a', 'g', 'e', 'r', ':', ' ', (byte) 0xff};
        api.send(
                        HttpRequest.newBuilder(
                                        URI.create("http://127.0.0.1:" + port()).resolve(DESIRED))
                                .header("Content-Type", "application/yaml")
                                .PUT(HttpRequest.BodyPublishers.ofByteArray(bytes))
                                .build())
                .requireProblem(400, "malformed");
        api.put(DESIRED, "{\"manager\":\"a\",\"manager\":\"b\"}").requireProblem(400, "malformed");
    }

    @Test
    void aDeepOrLargeDocumentIsRefused() {
        send("PUT", "", "manager: " + "[".repeat(10_000)).requireProblem(400, "malformed");
        send("PUT", "", "#".repeat(2 << 20)).requireProblem(413, "content-too-large");
    }
}
