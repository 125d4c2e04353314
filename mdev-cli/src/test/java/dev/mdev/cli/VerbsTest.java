package dev.mdev.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// Verbs whose answers the sample GPU does not give, by recorded answers.
class VerbsTest {
    private static final String UUID = "11111111-1111-4111-8111-111111111111";
    private static final String PLAN =
            "{\"parent\":\"lab0\",\"type\":\"lab-32\",\"fits\":false,\"text\":\"it does not fit\","
                    + "\"shortages\":[{\"blockers\":[{\"mdev\":\"%s\",\"pages\":4,\"reason\":\"idle\"},"
                            .formatted(UUID)
                    + "{\"pages\":1,\"reason\":\"quarantined\"}]}],"
                    + "\"plan\":{\"id\":\"abc\",\"pages\":4,\"moves\":[{\"mdev\":\"%s\",\"pool\":\"memory\","
                            .formatted(UUID)
                    + "\"pages\":4,\"fromExtents\":1,\"toExtents\":2}]}}";
    private static final String GIVERS =
            "{\"fits\":true,\"text\":\"it fits\",\"shortages\":[],\"givers\":["
                    + "{\"mdev\":\"%s\",\"pool\":\"vram\",\"pages\":48},{\"pool\":\"vram\",\"pages\":16}]}"
                            .formatted(UUID);
    private static final String EXPLAIN = "parents/lab0/types/lab-32/explain";
    private static final String DEFRAGMENT = "POST /api/v1/parents/lab0/types/lab-32/defragment";

    @Test
    void explainShowsTheObstaclesAndThePlan() throws IOException {
        try (Stub stub = new Stub()) {
            stub.onGet(EXPLAIN, PLAN);
            assertThat(Run.of(stub.url(), "explain", "lab0", "lab-32").requireOk().out())
                    .isEqualTo(
                            """
                            it does not fit

                            IN THE WAY                            PAGES  REASON       DETAIL
                            11111111-1111-4111-8111-111111111111      4  idle         -
                            -                                         1  quarantined  -

                            MOVE                                  POOL    PAGES  PIECES BEFORE  AFTER
                            11111111-1111-4111-8111-111111111111  memory      4              1      2

                            plan abc
                            """);
        }
    }

    @Test
    void explainShowsWhoWouldGivePagesBack() throws IOException {
        try (Stub stub = new Stub()) {
            stub.onGet(EXPLAIN, GIVERS);
            assertThat(Run.of(stub.url(), "explain", "lab0", "lab-32").requireOk().out())
                    .isEqualTo(
                            """
                            it fits

                            GIVES BACK                            POOL  PAGES
                            11111111-1111-4111-8111-111111111111  vram     48
                            -                                     vram     16
                            """);
        }
    }

    @Test
    void defragmentAppliesThePlanOfTheMomentOrTheNamedOne() throws IOException {
        try (Stub stub = new Stub()) {
            stub.onGet(EXPLAIN, PLAN).on(DEFRAGMENT, 200, Stub.JSON, "{\"text\":\"it fits\"}");
            assertThat(Run.of(stub.url(), "defragment", "lab0", "lab-32").requireOk().out())
                    .isEqualTo("it fits\n");
            Run.of(stub.url(), "defragment", "lab0", "lab-32", "--plan", "old").requireOk();
            assertThat(stub.requests())
                    .filteredOn(request -> request.startsWith("POST"))
                    .containsExactly(
                            DEFRAGMENT + " {\"plan\":\"abc\"}", DEFRAGMENT + " {\"plan\":\"old\"}");
        }
    }

    @Test
    void defragmentWithoutAPlanIsAConflict() throws IOException {
        try (Stub stub = new Stub()) {
            stub.onGet(EXPLAIN, "{\"fits\":false,\"text\":\"it does not fit\"}");
            Run.of(stub.url(), "defragment", "lab0", "lab-32")
                    .requireFailure(4, "no moves make room: it does not fit");
        }
    }

    @Test
    void labelsAreSetRemovedAndSelectedBy() throws IOException {
        try (Stub stub = new Stub()) {
            stub.on("PATCH /api/v1/mdevs/" + UUID, 200, Stub.JSON, "{}")
                    .on("PATCH /api/v1/machines/vm1", 200, Stub.JSON, "{}")
                    .onGet("mdevs?label=env%3Dprod%2C%21old", "{\"items\":[]}");
            Run.of(stub.url(), "label", UUID, "env=prod", "a=b=c", "old-").requireOk();
            Run.of(stub.url(), "label", "--machine", "vm1", "--display-name", "").requireOk();
            Run.of(stub.url(), "list", "-l", "env=prod,!old").requireOk();
            Run.of(stub.url(), "label", UUID).requireFailure(2, "nothing to change");
            Run.of(stub.url(), "label", UUID, "x").requireFailure(2, "neither KEY=VALUE nor KEY-");
            Run.of(stub.url(), "label", "x", "a=b").requireFailure(2, "UUID");
            assertThat(stub.requests())
                    .contains(
                            "PATCH /api/v1/mdevs/%s {\"labels\":{\"env\":\"prod\",\"a\":\"b=c\",\"old\":null}}"
                                    .formatted(UUID),
                            "PATCH /api/v1/machines/vm1 {\"displayName\":null}");
        }
    }

    @Test
    void aListInPartsIsReadToItsEnd() throws IOException {
        try (Stub stub = new Stub()) {
            stub.onGet("machines", "{\"items\":[{\"name\":\"a b\"}],\"next\":\"a b\"}")
                    .onGet("machines?after=a%20b", "{\"items\":[{\"name\":\"c\"}]}");
            assertThat(Run.of(stub.url(), "machines", "list", "-o", "name").requireOk().out())
                    .isEqualTo("a b\nc\n");
        }
    }

    @Test
    void aListWithoutAnEndIsGivenUp() throws IOException {
        try (Stub stub = new Stub()) {
            String part = "{\"items\":[],\"next\":\"a\"}";
            stub.onGet("machines", part).onGet("machines?after=a", part);
            Run.of(stub.url(), "machines", "list").requireFailure(1, "more than 100 parts");
        }
    }

    @Test
    void anExternalMachineHasSocketsAndACommand() throws IOException {
        String device =
                "{\"mdev\":\"%s\",\"socket\":\"/run/a.sock\",\"residentPages\":2,".formatted(UUID)
                        + "\"refused\":1,\"connection\":{\"pid\":7,\"since\":\"now\",\"errors\":0}}";
        String machine =
                "{\"name\":\"vm1\",\"kind\":\"external\",\"devices\":[%s]}".formatted(device);
        try (Stub stub = new Stub()) {
            stub.on("POST /api/v1/machines", 201, Stub.JSON, machine);
            stub.on("PUT /api/v1/machines/vm1/devices/" + UUID, 201, Stub.JSON, device);
            stub.onGet("machines/vm1", machine);
            stub.on("GET /api/v1/machines/vm1/qemu", 200, "text/plain", "qemu \\\n    -device x\n");
            Run.of(stub.url(), "machines", "create", "vm1", "--kind", "external", "--mode", "0660")
                    .requireOk();
            assertThat(stub.requests())
                    .containsExactly(
                            "POST /api/v1/machines {\"name\":\"vm1\",\"kind\":\"external\","
                                    + "\"socket\":{\"mode\":\"0660\"}}");
            assertThat(Run.of(stub.url(), "attach", "vm1", UUID).requireOk().out())
                    .isEqualTo("attached %s to vm1 at /run/a.sock\n".formatted(UUID));
            assertThat(Run.of(stub.url(), "machines", "show", "vm1").requireOk().out())
                    .isEqualTo(
                            """
                            machine  vm1
                            kind     external

                            DEVICE                                PROCESS  SINCE  RESIDENT  REFUSED  SOCKET       LAST FAILURE
                            11111111-1111-4111-8111-111111111111        7  now       8 KiB        1  /run/a.sock  -
                            """);
            assertThat(Run.of(stub.url(), "qemu", "vm1").requireOk().out())
                    .isEqualTo("qemu \\\n    -device x\n");
        }
    }

    /// As mdevctl, which has no attributes of running devices without a call-out script.
    @Test
    void dumpsAreInTheOrderOfParentsAndOnlyDefinitionsHaveAttributes() throws IOException {
        String attributes =
                "\"attributes\":[{\"name\":\"b\",\"value\":\"2\"},{\"name\":\"a\",\"value\":\"1\"}]";
        String facts = "{\"uuid\":\"%s\",\"parent\":\"%s\",\"type\":\"t\",%s," + attributes + "}";
        String state = "\"state\":{\"active\":%s,\"defined\":true,\"autostart\":true}";
        try (Stub stub = new Stub()) {
            stub.onGet(
                    "mdevs",
                    "{\"items\":[%s,%s,%s]}"
                            .formatted(
                                    facts.formatted("1", "z", state.formatted(true)),
                                    facts.formatted("2", "m", state.formatted(true)),
                                    facts.formatted("3", "m", state.formatted(false))));
            stub.onGet(
                    "definitions",
                    "{\"items\":[%s]}".formatted(facts.formatted("3", "m", "\"autostart\":false")));

            String active = Run.of(stub.url(), "list", "--dumpjson").requireOk().out();
            String defined = Run.of(stub.url(), "list", "--dumpjson", "-d").requireOk().out();

            String running = "{\"mdev_type\":\"t\",\"start\":\"auto\",\"attrs\":[]}";
            assertThat(active.replaceAll("\\s", ""))
                    .isEqualTo(
                            "[{\"m\":[{\"2\":%s}],\"z\":[{\"1\":%s}]}]"
                                    .formatted(running, running));
            assertThat(defined.replaceAll("\\s", ""))
                    .isEqualTo(
                            "[{\"m\":[{\"3\":{\"mdev_type\":\"t\",\"start\":\"manual\","
                                    + "\"attrs\":[{\"b\":\"2\"},{\"a\":\"1\"}]}}]}]");
        }
    }

    @Test
    void qemuOfAServiceThatCannotSaysSo() throws IOException {
        try (Stub stub = new Stub()) {
            Run.of(stub.url(), "qemu", "vm1").requireFailure(3, "not-found");
        }
    }

    @Test
    void anEndTellsWhoHadTheDevice() throws IOException {
        String path = "DELETE /api/v1/mdevs/" + UUID + "?grace=2s";
        try (Stub stub = new Stub()) {
            stub.on(path, 200, Stub.JSON, "{\"holder\":\"vm1\",\"taken\":true}");
            stub.on(path + "&force=false", 200, Stub.JSON, "{\"holder\":\"vm1\",\"taken\":false}");
            assertThat(Run.of(stub.url(), "delete", UUID, "--grace", "2s").requireOk().out())
                    .isEqualTo("deleted %s, taken from vm1\n".formatted(UUID));
            assertThat(
                            Run.of(stub.url(), "delete", UUID, "--grace", "2000ms", "--no-force")
                                    .requireOk()
                                    .out())
                    .isEqualTo("deleted %s, released by vm1\n".formatted(UUID));
        }
    }

    @Test
    void aDryRunAsksTheServiceAndChangesNothing() throws IOException {
        String device = "/api/v1/mdevs/" + UUID;
        String place = "/api/v1/machines/vm1/devices/" + UUID;
        try (Stub stub = new Stub()) {
            for (String call :
                    List.of(
                            "POST /api/v1/mdevs",
                            "PUT " + device,
                            "DELETE " + device,
                            "POST " + device + "/start",
                            "POST " + device + "/stop",
                            "PUT /api/v1/definitions/" + UUID,
                            "DELETE /api/v1/definitions/" + UUID,
                            "POST /api/v1/machines",
                            "DELETE /api/v1/machines/vm1",
                            "PUT " + place,
                            "DELETE " + place,
                            "DELETE /api/v1/parents/gpu0")) {
                stub.on(call + "?dryRun=true", 204, "", "");
            }
            for (String verb :
                    List.of(
                            "create gpu0 t",
                            "create gpu0 t --uuid " + UUID,
                            "delete " + UUID,
                            "start " + UUID,
                            "stop " + UUID,
                            "define -u " + UUID + " -p gpu0 -t t",
                            "undefine " + UUID,
                            "machines create vm1",
                            "machines delete vm1",
                            "attach vm1 " + UUID,
                            "detach vm1 " + UUID,
                            "parents remove gpu0")) {
                List<String> words = new ArrayList<>(List.of(verb.split(" ")));
                words.add("--dry-run");
                assertThat(Run.of(stub.url(), words.toArray(String[]::new)).requireOk().out())
                        .as(verb)
                        .isEqualTo("dry run: nothing is in the way\n");
            }
            assertThat(stub.requests()).hasSize(12);
            Run.of(stub.url(), "delete", UUID.replace('1', '2'), "--dry-run").requireFailure(3);
        }
    }

    @Test
    void deleteStopsAtTheFirstFailure() throws IOException {
        try (Stub stub = new Stub()) {
            Run.of(stub.url(), "delete", UUID, UUID).requireFailure(3);
            assertThat(stub.requests()).hasSize(1);
        }
    }

    @Test
    void doctorNamesEachTrouble() throws IOException {
        String report =
                """
                {"java":"25","engines":[{"name":"kvm","inUse":false,"available":false,
                 "findings":[{"need":"/dev/kvm","met":false,"detail":"missing","remedy":"load kvm"}]}],
                 "drivers":[{"name":"d","parents":["p0","p1"],"trouble":""},
                            {"name":"e","parents":[],"trouble":"EINVAL: bad"}],
                 "overdue":["mdev=x write for 3 ms"],"lost":["mdev=y"],
                 "troubles":[{"mdev":"z","kind":"start_failed","since":"2026-11-30T12:00:00Z",
                              "detail":"parent=p0 EUSERS: full"}],
                 "missingParents":["p9"],"documents":["a.yaml: differences=1: create mdevs/q"],
                 "state":{"directory":"/var/lib/mdev","trouble":"full","damage":"line 3",
                          "quarantined":[{"file":"f.mdev","reason":"empty"}]}}
                """;
        try (Stub stub = new Stub()) {
            stub.onGet("doctor", report);
            assertThat(Run.of(stub.url(), "doctor").requireOk().out())
                    .isEqualTo(
                            """
                            java             25
                            state directory  /var/lib/mdev

                            ENGINE  IN USE  AVAILABLE
                            kvm     no      no

                            MISSING   FOUND    REMEDY
                            /dev/kvm  missing  load kvm

                            DRIVER  PARENTS  TROUBLE
                            d       p0, p1   -
                            e       -        EINVAL: bad

                            trouble:
                              driver e: EINVAL: bad
                              overdue: mdev=x write for 3 ms
                              lost: mdev=y
                              start_failed of z since 2026-11-30T12:00:00Z: parent=p0 EUSERS: full
                              parent p9 is missing
                              document a.yaml: differences=1: create mdevs/q
                              state directory: full
                              the journal was damaged: line 3
                              damaged definition f.mdev: empty
                            """);
            assertThat(Run.of(stub.url(), "doctor", "--check").code()).isEqualTo(1);
            assertThat(Run.of(stub.url(), "doctor", "-o", "name").requireOk().out())
                    .isEqualTo("trouble\n");
        }
    }

    @Test
    void theVerbsOfTheOperatorSendWhatTheRestReferenceSays() throws IOException {
        try (Stub stub = new Stub()) {
            Map<List<String>, String> calls =
                    Map.of(
                            List.of("adopt", UUID),
                            "POST /api/v1/mdevs/" + UUID + "/adopt",
                            List.of("undefine", "--quarantined", "~f.mdev"),
                            "DELETE /api/v1/definitions/quarantined/~f.mdev",
                            List.of("parents", "remove", "p", "--grace", "1m"),
                            "DELETE /api/v1/parents/p?grace=60s",
                            List.of("stop", UUID, "--grace", "1s", "--no-force"),
                            "POST /api/v1/mdevs/" + UUID + "/stop?grace=1s&force=false",
                            List.of("revoke", UUID, "--region", "2", "--pages", "5"),
                            "POST /api/v1/mdevs/" + UUID + "/revoke {\"region\":2,\"pages\":5}",
                            List.of("cancel", "vm1", "--vcpu", "3"),
                            "POST /api/v1/machines/vm1/vcpus/3/interrupt",
                            List.of("create", "p", "t", "--persist"),
                            "POST /api/v1/mdevs {\"parent\":\"p\",\"type\":\"t\","
                                    + "\"persist\":true,\"autostart\":false}");
            calls.forEach((line, request) -> {
                Run.of(Map.of("MDEV_URL", stub.url()), false, "", line).requireFailure(3);
                assertThat(stub.requests().getLast()).isEqualTo(request);
            });
        }
    }

    @Test
    void runReadsItsProgramAndTellsHowItEnded() throws IOException {
        String path = "POST /api/v1/machines/vm1/vcpus/0/programs";
        List<String> line = List.of("run", "vm1", "-");
        try (Stub stub = new Stub()) {
            Map<String, String> environment = Map.of("MDEV_URL", stub.url());
            Run.of(environment, false, "{\"steps\":\n [}", line)
                    .requireFailure(2, "not JSON", "line 2");
            stub.on(
                    path,
                    200,
                    Stub.JSON,
                    "{\"end\":\"faulted\",\"steps\":[{\"op\":\"read\",\"completed\":1,\"micros\":5,"
                            + "\"mmioExits\":0,\"fault\":{\"gpa\":\"0x1\",\"access\":\"read\","
                            + "\"errno\":\"EIO\",\"reason\":\"refused\"}}]}");
            Run run = Run.of(environment, false, "{\"steps\":[]}", line);
            assertThat(run.code()).isEqualTo(1);
            assertThat(run.out())
                    .isEqualTo(
                            """
                            the program faulted
                            STEP  COMPLETED  MISMATCHES  MMIO EXITS  MICROS  NOTE
                            read          1           -           0       5  read of 0x1: EIO, refused
                            """);
            assertThat(stub.requests()).containsExactly(path + " {\"steps\":[]}");
        }
    }

    private static Stub events(Stub stub, String query, String... messages) {
        return stub.on(
                "GET /api/v1/events" + query, 200, "text/event-stream", String.join("", messages));
    }

    @Test
    void watchSaysWhenEventsAreMissing() throws IOException {
        try (Stub stub = new Stub()) {
            events(
                    stub,
                    "?after=3",
                    "event:open\nid:a:8\ndata:{}\n\n",
                    "event:gap\nid:a:8\ndata:{}\n\n",
                    event(9));
            Run run = Run.of(stub.url(), "watch", "--after", "3", "--count", "1");
            assertThat(run.code()).isZero();
            assertThat(run.out().lines()).containsExactly("t9  k  s  d");
            assertThat(run.errors().lines()).containsExactly("mdev: events are lost, before a:8");
        }
    }

    @Test
    void watchResumesAfterTheLastEventWhenTheConnectionEnds() throws IOException {
        try (Stub stub = new Stub()) {
            events(stub, "", "event:open\nid:a:3\ndata:{}\n\n", event(4), "id:a:5\ndata:{\"to");
            events(stub, "", event(5), ":\nid:a:7\n\n");
            events(stub, "", event(8));
            Run run = Run.of(stub.url(), "watch", "--count", "3");
            assertThat(run.code()).isZero();
            assertThat(run.out().lines())
                    .containsExactly("t4  k  s  d", "t5  k  s  d", "t8  k  s  d");
            assertThat(stub.lastEventIds()).containsExactly("", "a:4", "a:7");
        }
    }

    private static String event(int id) {
        return "id:a:%d\ndata:{\"id\":%d,\"time\":\"t%d\",\"kind\":\"k\",\"subject\":\"s\",\"detail\":\"d\"}\n\n"
                .formatted(id, id, id);
    }

    @Test
    void watchDoesNotPrintAnEventTwice() throws IOException {
        try (Stub stub = new Stub()) {
            events(stub, "?after=3", event(3), event(3));
            Run.of(stub.url(), "watch", "--after", "3").requireFailure(1, "out of order");
        }
    }

    @Test
    void watchRefusesWhatIsNoStreamOfEvents() throws IOException {
        try (Stub stub = new Stub()) {
            stub.onGet("events", "{}");
            Run.of(stub.url(), "watch").requireFailure(1, "not the answer of a service");
        }
        try (Stub stub = new Stub()) {
            stub.on("GET /api/v1/events", 503, Stub.PROBLEM, "{\"code\":\"unavailable\"}");
            Run.of(stub.url(), "watch").requireFailure(1, "unavailable");
        }
    }
}
