package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.test.context.TestPropertySource;

import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/// A driver that misbehaves: its guest gets a clear fault, the operator a clear record, and
/// everything else is unaffected.
@TestPropertySource(properties = {HostTest.SHORT_DEADLINE, HostTest.SLOW_CALLBACK})
class HostileDriverTest extends HostTest {
    private static final String WRITE_TO_PAGE_3 =
            """
            {"steps":[{"op":"write","at":{"mdev":"%s","bar":0,"offset":"0x3008"},"value":7}]}\
            """;

    @ParameterizedTest
    @CsvSource({
        "denies,                      denied,  EACCES, no licence",
        "grants-others-pages,         refused, EIO,    not this device's",
        "grants-outside-the-aperture, refused, EIO,    not this device's",
        "grants-too-much,             refused, EIO,    leaves the window",
        "grants-beside-the-page,      refused, EIO,    does not cover the accessed page",
        "grants-only-reading,         refused, EIO,    do not allow the access",
        "grants-no-rights,            refused, EIO,    do not allow the access",
        "answers-null,                failed,  EIO,    returned null",
        "throws-errno,                failed,  ENOMEM, page tables are full",
        "throws-anything,             failed,  EIO,    IllegalStateException: a bug",
        "recurses,                    failed,  EIO,    StackOverflowError",
        "revokes,                     failed,  EAGAIN, revoked each of its",
        "never-decides,               failed,  ETIMEDOUT, the licence server is slow",
    })
    void theGuestGetsAFaultAndTheOperatorARecord(
            String type, String outcome, String errno, String words) {
        long free = freePages();
        UUID bad = api.createMdev(HostileDriver.PARENT, type);
        UUID good = api.createMdev(HostileDriver.PARENT, "honest");
        api.createMachine("vm1", bad);
        api.createMachine("vm2", good);
        api.run("vm2", WRITE_TO_PAGE_3.formatted(good)).requireStatus(200);

        Answer result = api.run("vm1", WRITE_TO_PAGE_3.formatted(bad)).requireStatus(200);

        assertThat(result.at("/end")).isEqualTo("faulted");
        assertThat(result.at("/steps/0/fault/errno")).isEqualTo(errno);
        assertThat(result.at("/steps/0/fault/reason")).contains(words);
        assertThat(result.at("/steps/0/fault/access")).isEqualTo("write");
        assertThat(result.at("/steps/0/fault/gpa")).endsWith("3008");
        assertThat(result.numberAt("/steps/0/completed")).isZero();

        Answer faults = api.get("/api/v1/mdevs/%s/faults".formatted(bad)).requireStatus(200);
        assertThat(faults.numberAt("/outcomes/" + outcome)).isEqualTo(1);
        assertThat(faults.numberAt("/outcomes/granted")).isZero();
        assertThat(faults.numberAt("/residentPages")).isZero();
        assertThat(faults.at("/recent/0/outcome")).isEqualTo(outcome);
        assertThat(faults.at("/recent/0/answer")).contains(words);
        assertThat(faults.numberAt("/recent/0/page")).isEqualTo(3);

        requireUntouched("vm2", good);
        api.delete("/api/v1/machines/vm1").requireStatus(204);
        api.delete("/api/v1/mdevs/" + bad).requireStatus(204);
        api.delete("/api/v1/machines/vm2").requireStatus(204);
        api.delete("/api/v1/mdevs/" + good).requireStatus(204);
        assertThat(freePages()).as("pages that were given back").isEqualTo(free);
    }

    private void requireUntouched(String machine, UUID good) {
        Answer again =
                api.run(
                                machine,
                                """
                                {"steps":[{"op":"check","at":{"mdev":"%s","bar":0,"offset":"0x3008"},"value":7}]}\
                                """
                                        .formatted(good))
                        .requireStatus(200);
        assertThat(again.at("/end")).isEqualTo("completed");
        assertThat(again.numberAt("/steps/0/mismatches")).isZero();
        assertThat(again.numberAt("/devices/0/faults")).isZero();
        assertThat(again.numberAt("/devices/0/residentPages")).isEqualTo(1);
    }

    @Test
    void grantsThatTheDriverRevokesAreNoGrantsInTheMetrics() {
        UUID bad = api.createMdev(HostileDriver.PARENT, "revokes");
        api.createMachine("vm1", bad);

        Answer result = api.run("vm1", WRITE_TO_PAGE_3.formatted(bad)).requireStatus(200);

        assertThat(result.at("/steps/0/fault/reason"))
                .containsPattern(
                        "mdev=%s revoked each of its \\d+ answers: region=0 page=0x3"
                                .formatted(bad));
        assertThat(api.get("/actuator/prometheus").text().lines())
                .filteredOn(
                        line -> line.startsWith("mdevhost_faults") && line.contains(bad.toString()))
                .allSatisfy(line ->
                        assertThat(line)
                                .endsWith(
                                        line.contains("outcome=\"failed\",prefetched=\"false\"")
                                                ? " 1.0"
                                                : " 0.0"));
    }

    @ParameterizedTest
    @CsvSource({"grants-others-pages,grant_refused", "throws-anything,driver_failed"})
    void theOperatorIsToldByAnEvent(String type, String kind) {
        UUID bad = api.createMdev(HostileDriver.PARENT, type);
        api.createMachine("vm1", bad);
        long last = api.get("/api/v1/events").numberAt("/lastId");

        api.run("vm1", WRITE_TO_PAGE_3.formatted(bad)).requireStatus(200);

        Answer events = api.get("/api/v1/events?after=" + last).requireStatus(200);
        assertThat(events.at("/items/0/kind")).isEqualTo(kind);
        assertThat(events.at("/items/0/subject")).isEqualTo("mdevs/" + bad);
        assertThat(events.at("/items/0/detail")).contains("region=0 page=0x3 access=WRITE");
    }

    @Test
    void aGuestThatFaultsInALoopDoesNotFloodTheEvents() {
        UUID bad = api.createMdev(HostileDriver.PARENT, "throws-anything");
        api.createMachine("vm1", bad);
        long last = api.get("/api/v1/events").numberAt("/lastId");
        String step = "{\"op\":\"read\",\"at\":{\"mdev\":\"%s\",\"bar\":0}}".formatted(bad);
        String program =
                "{\"continueAfterFault\":true,\"steps\":[%s]}"
                        .formatted(String.join(",", java.util.Collections.nCopies(500, step)));

        Answer result = api.run("vm1", program).requireStatus(200);

        assertThat(result.at("/end")).isEqualTo("completed");
        assertThat(result.numberAt("/devices/0/faults")).isEqualTo(500);
        Answer events = api.get("/api/v1/events?after=" + last).requireStatus(200);
        assertThat(events.body().at("/items").size()).isBetween(1, 100);
    }

    @Test
    void aDriverThatReportsWithoutEndGetsOneEventWithOneShortLine() {
        Neighbour neighbour = new Neighbour(api);
        UUID mdev = api.createMdev(HostileDriver.PARENT, "reports");
        api.createMachine("vm1", mdev);
        long last = api.get("/api/v1/events").numberAt("/lastId");

        api.run("vm1", WRITE_TO_PAGE_3.formatted(mdev)).requireStatus(200);

        api.awaitEvent(last, "driver_report");
        Answer events = api.get("/api/v1/events?after=" + last).requireStatus(200);
        assertThat(events.body().at("/items"))
                .filteredOn(event -> event.at("/kind").asString().equals("driver_report"))
                .hasSizeLessThan(100)
                .allSatisfy(event -> {
                    assertThat(event.at("/subject").asString()).isEqualTo("mdevs/" + mdev);
                    assertThat(event.at("/detail").asString())
                            .startsWith("warning: smoke ERROR all is lost !")
                            .hasSizeLessThan(1100);
                });
        neighbour.requireNoHarm(mdev);
    }

    @Test
    void aDriverThatTrapsServesTheAccessItself() {
        UUID mdev = api.createMdev(HostileDriver.PARENT, "traps");
        api.createMachine("vm1", mdev);

        Answer result =
                api.run(
                                "vm1",
                                "{\"steps\":[{\"op\":\"read\",\"width\":1,\"at\":{\"mdev\":\"%s\",\"bar\":0}}]}"
                                        .formatted(mdev))
                        .requireStatus(200);

        assertThat(result.at("/steps/0/values/0")).isEqualTo("0x5a");
        assertThat(result.numberAt("/steps/0/mmioExits")).isEqualTo(1);
        assertThat(result.numberAt("/devices/0/residentPages")).isZero();
    }

    private static String readOf(UUID mdev, long deadlineMillis) {
        return "{\"deadlineMillis\":%d,\"steps\":[{\"op\":\"read\",\"at\":{\"mdev\":\"%s\",\"bar\":0}}]}"
                .formatted(deadlineMillis, mdev);
    }

    /// Starts a program in whose first access the driver hangs. On a busy machine, the program's
    /// deadline may pass before the driver is asked: then another has more time.
    private CompletableFuture<Answer> startStuck(UUID mdev) throws Exception {
        for (long deadlineMillis = 200; true; deadlineMillis *= 2) {
            String program = readOf(mdev, deadlineMillis);
            CompletableFuture<Answer> running =
                    CompletableFuture.supplyAsync(() -> api.run("vm1", program));
            if (HostileDriver.Stuck.awaitEntered(running)) {
                return running;
            }
            assertThat(running.get().status()).isIn(200, 409, 504);
        }
    }

    /// An interrupt would end the driver's wait, and close the file that it reads afterwards.
    @Test
    void theDeadlineOfAProgramDoesNotInterruptTheDriver() throws Exception {
        long free = freePages();
        UUID mdev = api.createMdev(HostileDriver.PARENT, "hangs");
        api.createMachine("vm1", mdev);

        startStuck(mdev).get().requireProblem(504, "timed-out");
        String program = readOf(mdev, 200);
        assertThat(api.run("vm1", program).requireProblem(409, "busy").at("/detail"))
                .contains("vcpu=0 executes a program");
        HostileDriver.Stuck.releaseAll();

        String faults = "/api/v1/mdevs/%s/faults".formatted(mdev);
        while (api.get(faults).body().at("/recent").isEmpty()) {
            Thread.onSpinWait();
        }
        assertThat(api.get(faults).at("/recent/0/outcome")).isEqualTo("granted");
        requireGivenBack(free, mdev);
    }

    /// Ends the machines and the devices; their pages are free then.
    private void requireGivenBack(long free, UUID... mdevs) {
        for (String machine : api.namesOf("/api/v1/machines", "/name")) {
            api.delete("/api/v1/machines/" + machine).requireStatus(204);
        }
        for (UUID mdev : mdevs) {
            Answer ended = api.delete("/api/v1/mdevs/" + mdev);
            while (ended.status() == 503) {
                // The request that the driver kept has the device for another moment.
                assertThat(ended.body().at("/retryable").asBoolean()).isTrue();
                ended = api.delete("/api/v1/mdevs/" + mdev);
            }
            ended.requireStatus(204);
        }
        assertThat(freePages()).as("pages that were given back").isEqualTo(free);
    }

    @Test
    void aDriverThatHangsForGoodKeepsItsProcessorAndNobodyElse() throws Exception {
        long free = freePages();
        UUID stuck = api.createMdev(HostileDriver.PARENT, "hangs-deaf");
        UUID good = api.createMdev(HostileDriver.PARENT, "honest");
        api.createMachine("vm1", stuck);
        api.createMachine("vm2", good);
        long last = api.get("/api/v1/events").numberAt("/lastId");

        CompletableFuture<Answer> hanging = startStuck(stuck);

        // Another machine and another device of the same parent.
        api.run("vm2", WRITE_TO_PAGE_3.formatted(good)).requireStatus(200);
        requireUntouched("vm2", good);
        UUID made = api.createMdev(HostileDriver.PARENT, "honest");
        api.delete("/api/v1/mdevs/" + made).requireStatus(204);

        Answer answer = hanging.get();
        answer.requireProblem(504, "timed-out");
        assertThat(answer.at("/detail")).contains("vcpu=0 does not stop").contains("hang");
        api.run("vm1", readOf(stuck, 200)).requireProblem(409, "busy");
        api.awaitEvent(last, "callback_overdue");
        assertThat(api.get("/api/v1/mdevs/" + stuck).at("/overdue"))
                .contains("validateMapRequest for ");
        assertThat(api.get("/api/v1/doctor").at("/overdue/0")).contains(stuck.toString());

        // Another processor of the same machine waits for its turn, for a bounded time.
        Answer second =
                api.post(
                                "/api/v1/machines/vm1/vcpus/1/programs",
                                "{\"steps\":[{\"op\":\"read\",\"at\":{\"mdev\":\"%s\",\"bar\":0,\"offset\":4096}}]}"
                                        .formatted(stuck))
                        .requireStatus(200);
        assertThat(second.at("/steps/0/fault/errno")).isEqualTo("ETIMEDOUT");

        HostileDriver.Stuck.releaseAll();
        awaitNothingOverdue();
        requireGivenBack(free, stuck, good);
    }

    private void awaitNothingOverdue() {
        while (!api.get("/api/v1/doctor").at("/overdue/0").isEmpty()) {
            Thread.onSpinWait();
        }
    }

    @Test
    void aDeviceWhoseDriverThrowsAtCreationIsNotThere() {
        Neighbour neighbour = new Neighbour(api);
        Answer refused =
                api.post("/api/v1/mdevs", "{\"parent\":\"hostile\",\"type\":\"throws-at-create\"}");
        refused.requireProblem(502, "driver-failed");
        assertThat(refused.at("/detail")).contains("the firmware does not answer");
        assertThat(refused.at("/errno")).isEqualTo("ENODEV");
        assertThat(api.namesOf("/api/v1/mdevs", "/uuid"))
                .containsExactly(neighbour.uuid().toString());
        neighbour.requireNoHarm();
    }

    @Test
    void aDeviceWhoseDriverThrowsAtTheEndIsGoneAllTheSame() {
        Neighbour neighbour = new Neighbour(api);
        UUID mdev = api.createMdev(HostileDriver.PARENT, "throws-at-close");
        long last = api.get("/api/v1/events").numberAt("/lastId");

        api.delete("/api/v1/mdevs/" + mdev).requireStatus(204);

        api.get("/api/v1/mdevs/" + mdev).requireProblem(404, "not-found");
        assertThat(api.get("/api/v1/events?after=" + last).text()).contains("cannot close");
        neighbour.requireNoHarm();
    }

    @Test
    void aResetThatFailsIsToldOf() {
        Neighbour neighbour = new Neighbour(api);
        UUID mdev = api.createMdev(HostileDriver.PARENT, "throws-at-reset");
        Answer failed = api.post("/api/v1/mdevs/%s/reset".formatted(mdev), "");
        failed.requireProblem(502, "driver-failed");
        assertThat(failed.at("/detail")).contains("cannot reset");
        assertThat(failed.at("/errno")).isEqualTo("EIO");
        assertThat(failed.at("/detail")).contains(mdev.toString());
        neighbour.requireNoHarm(mdev);
    }

    @Test
    void aDeviceThatCannotBeResetBetweenGuestsIsGivenToNobody() {
        Neighbour neighbour = new Neighbour(api);
        UUID mdev = api.createMdev(HostileDriver.PARENT, "throws-at-reset");
        api.createMachine("vm1", mdev);
        api.createMachine("vm2");
        api.delete("/api/v1/machines/vm1/devices/" + mdev).requireStatus(204);

        Answer refused = api.put("/api/v1/machines/vm2/devices/" + mdev, "");
        assertThat(refused.status()).isGreaterThanOrEqualTo(400);
        assertThat(refused.at("/errno")).isEqualTo("EIO");
        assertThat(refused.at("/detail"))
                .contains("was not reset after its last holder", "cannot reset");
        assertThat(api.get("/api/v1/mdevs/" + mdev).requireStatus(200).at("/holder")).isEmpty();
        neighbour.requireNoHarm(mdev);
    }

    @Test
    void aDeviceThatIsBeingMadeIsToBeAskedForAgain() throws Exception {
        long free = freePages();
        UUID mdev = UUID.randomUUID();
        String path = "/api/v1/mdevs/" + mdev;
        String spec = "{\"parent\":\"hostile\",\"type\":\"hangs-at-create\"}";
        long last = api.get("/api/v1/events").numberAt("/lastId");
        CompletableFuture<Answer> making = CompletableFuture.supplyAsync(() -> api.put(path, spec));
        HostileDriver.Stuck.awaitEntered();

        Answer again = api.put(path, spec);

        again.requireProblem(503, "unavailable");
        assertThat(again.body().at("/retryable").asBoolean()).isTrue();
        api.awaitEvent(last, "callback_overdue");
        assertThat(api.get("/api/v1/doctor").at("/overdue/0"))
                .as("a device that is not active yet")
                .contains("parent=hostile create");
        making.get().requireProblem(504, "timed-out");
        HostileDriver.Stuck.releaseAll();
        api.awaitEvent(last, "mdev_created");
        api.put(path, spec).requireStatus(200);
        requireGivenBack(free, mdev);
    }

    /// A request that its driver keeps: of its kind, the path is given with the device.
    @ParameterizedTest
    @CsvSource({
        "GET, counters, counters",
        "GET, picture,  picture",
        "PUT, state,    restore",
    })
    void aRequestThatADriverKeepsIsAnsweredAtTheDeadline(
            String method, String resource, String callback) throws Exception {
        long free = freePages();
        UUID stuck = api.createMdev(HostileDriver.PARENT, "hangs-when-asked");
        UUID good = api.createMdev(HostileDriver.PARENT, "honest");
        String path = "/api/v1/mdevs/%s/".formatted(stuck);
        byte[] state = api.bytes(path + "state").body();

        for (int i = 0; i < 3; i++) {
            Answer answer =
                    method.equals("GET")
                            ? api.get(path + resource)
                            : api.putBytes(path + resource, state);

            answer.requireProblem(504, "timed-out");
            assertThat(answer.at("/detail")).contains(stuck.toString(), callback);
            // The others are served, also those of the same kind.
            api.get("/api/v1/mdevs/%s/counters".formatted(good)).requireStatus(200);
            api.get("/api/v1/mdevs/%s/picture".formatted(good)).requireProblem(404, "not-found");
        }
        assertThat(api.get("/api/v1/doctor").at("/overdue/0")).contains(stuck + " " + callback);

        HostileDriver.Stuck.releaseAll();
        awaitNothingOverdue();
        requireGivenBack(free, stuck, good);
    }

    @Test
    void aDriverThatFindsNothingIsListedWithItsReason() {
        Answer report = api.get("/api/v1/doctor").requireStatus(200);
        assertThat(report.body().at("/drivers"))
                .anySatisfy(driver -> {
                    assertThat(driver.at("/name").asString()).isEqualTo("broken");
                    assertThat(driver.at("/trouble").asString()).contains("the card is on fire");
                })
                .anySatisfy(driver -> {
                    assertThat(driver.at("/name").asString()).isEqualTo("crooked");
                    assertThat(driver.at("/trouble").asString()).contains("crooked/Names");
                })
                .anySatisfy(driver -> {
                    assertThat(driver.at("/name").asString()).endsWith("Mute");
                    assertThat(driver.at("/trouble").asString()).contains("no name today");
                });
        assertThat(api.namesOf("/api/v1/parents", "/name")).contains("gpu0", "hostile");
    }

    private long freePages() {
        return api.get("/api/v1/parents/hostile").numberAt("/pools/0/freePages");
    }
}
