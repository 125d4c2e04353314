package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.gate.Deadlines;
import dev.mdev.host.HostileDriver.Vice;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.springframework.test.context.TestPropertySource;

import tools.jackson.databind.JsonNode;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/// Each vice of a driver, in a running service, beside an honest device of the same parent: the
/// operator is told who did it, the neighbour works on, and what the culprit had is given back.
@Tag("slow")
@TestPropertySource(properties = {HostTest.SHORT_DEADLINE, HostTest.SLOW_CALLBACK})
class HostileVicesTest extends HostTest {
    /// How an operator learns of a vice.
    private sealed interface Told {}

    /// Nobody is harmed, and there is nothing to tell.
    private record Harmless(Act act) implements Told {}

    /// An event of the device that tells of the act, and a trouble of the device until it is over.
    private record Fault(String kind, String words) implements Told {}

    /// An event of the device.
    private record OneEvent(String kind, String words, Act act) implements Told {}

    /// A record of the device's faults: the driver may refuse.
    private record Refused(String words) implements Told {}

    /// The answer to what the operator asks for.
    private record Answered(int status, String words, Act act) implements Told {}

    /// An event and a line of the doctor, about a callback that does not return.
    private record Overdue(String callback, Act act) implements Told {}

    /// What a guest, or an operator, does with a device.
    private enum Act {
        CREATE,
        TOUCH,
        RING,
        ATTACH,
        RELEASE,
        COUNT,
        SAVE,
        RESTORE,
        REMOVE
    }

    private static Told toldOf(Vice vice) {
        return switch (vice) {
            case HONEST, TRAPS, LEAVES_INTERRUPTED, KEEPS_PINS, MOVABLE, BIG ->
                    new Harmless(Act.TOUCH);
            case HAS_WORK_FOR_EVER -> new Harmless(Act.RING);
            case DENIES -> new Refused("no licence");
            case DENIES_WITH_A_NOVEL -> new Refused("(7000000 characters)");
            case NAMES_A_NOVEL -> new Fault("grant_refused", "(7000000 characters)");
            case GRANTS_OTHERS_PAGES, GRANTS_OUTSIDE_THE_APERTURE ->
                    new Fault("grant_refused", "not this device's");
            case GRANTS_TOO_MUCH -> new Fault("grant_refused", "leaves the window");
            case GRANTS_BESIDE_THE_PAGE -> new Fault("grant_refused", "does not cover");
            case GRANTS_ONLY_READING, GRANTS_NO_RIGHTS ->
                    new Fault("grant_refused", "do not allow the access");
            case ANSWERS_NULL -> new Fault("driver_failed", "returned null");
            case THROWS_ERRNO -> new Fault("driver_failed", "page tables are full");
            case THROWS_ANYTHING -> new Fault("driver_failed", "a bug");
            case THROWS_THE_UNNAMEABLE -> new Fault("driver_failed", "Unnameable");
            case RECURSES -> new Fault("driver_failed", "StackOverflowError");
            case REVOKES -> new Fault("driver_failed", "revoked each of its");
            case NEVER_DECIDES -> new Fault("driver_failed", "the licence server is slow");
            case REPORTS -> new OneEvent("driver_report", "smoke", Act.TOUCH);
            case THROWS_IN_A_REGISTER ->
                    new OneEvent("driver_report", "a broken register", Act.TOUCH);
            case THROWS_WHEN_RUNG -> new OneEvent("driver_report", "no work today", Act.RING);
            case THROWS_WHEN_RELEASED -> new OneEvent("driver_report", "not you", Act.RELEASE);
            case THROWS_AT_RESET -> new OneEvent("driver_report", "cannot reset", Act.RELEASE);
            case THROWS_AT_CLOSE -> new OneEvent("driver_failed", "cannot close", Act.REMOVE);
            case THROWS_AT_CREATE -> new Answered(502, "the firmware does not answer", Act.CREATE);
            case REVOKES_TOO_EARLY -> new Answered(502, "not bound", Act.CREATE);
            case HAS_NO_REGIONS -> new Answered(502, "NullPointerException", Act.CREATE);
            case THROWS_WHEN_ASSIGNED -> new Answered(502, "not you", Act.ATTACH);
            case REFUSES_STATE -> new Answered(502, "register 3 cannot be 7", Act.RESTORE);
            case SAVES_WITHOUT_END -> new Answered(502, "cannot be saved", Act.SAVE);
            case COUNTS_EVERYTHING -> new Answered(502, "counters=257", Act.COUNT);
            case COUNTS_AT_LENGTH -> new Answered(200, "(7000000 characters)", Act.COUNT);
            case HANGS, HANGS_DEAF -> new Overdue("validateMapRequest", Act.TOUCH);
            case HANGS_IN_A_REGISTER -> new Overdue("write", Act.TOUCH);
            case HANGS_WHEN_ASKED -> new Overdue("counters", Act.COUNT);
            case HANGS_AT_CREATE -> new Overdue("create", Act.CREATE);
            case HANGS_AT_CLOSE -> new Overdue("close", Act.REMOVE);
        };
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.MATCH_NONE, names = "HANGS.*")
    void theCulpritIsNamedAndNobodyElseNotices(Vice vice) {
        Neighbour neighbour = new Neighbour(api);
        long last = lastEvent();
        UUID culprit = UUID.randomUUID();
        Told told = toldOf(vice);

        switch (told) {
            case Harmless it -> {
                create(culprit, vice).requireStatus(201);
                act(it.act, culprit);
                assertThat(api.get("/api/v1/doctor").body().at("/troubles")).isEmpty();
            }
            case Fault it -> {
                create(culprit, vice).requireStatus(201);
                act(Act.TOUCH, culprit);
                awaitEvent(last, it.kind, "mdevs/" + culprit, it.words);
                JsonNode trouble = api.get("/api/v1/doctor").body().at("/troubles/0");
                assertThat(trouble.at("/mdev").asString()).isEqualTo(culprit.toString());
                assertThat(trouble.at("/kind").asString()).isEqualTo(it.kind);
            }
            case OneEvent it -> {
                create(culprit, vice).requireStatus(201);
                act(it.act, culprit);
                awaitEvent(last, it.kind, "mdevs/" + culprit, it.words);
            }
            case Refused it -> {
                create(culprit, vice).requireStatus(201);
                act(Act.TOUCH, culprit);
                Answer faults = api.get("/api/v1/mdevs/%s/faults".formatted(culprit));
                assertThat(faults.at("/recent/0/answer")).contains(it.words);
            }
            case Answered it -> {
                Answer answer = create(culprit, vice);
                if (it.act != Act.CREATE) {
                    answer.requireStatus(201);
                    answer = act(it.act, culprit);
                }
                answer.requireStatus(it.status);
                assertThat(answer.text()).contains(it.words).containsAnyOf(names(culprit));
            }
            case Overdue it -> throw new IllegalArgumentException("it does not return: " + it);
        }

        neighbour.requireWorking();
        requireGivenBack(neighbour, List.of(culprit));
    }

    private static String[] names(UUID culprit) {
        return new String[] {culprit.toString(), "parent=" + HostileDriver.PARENT};
    }

    /// All at once: each keeps its caller, and nobody else.
    @Test
    void whoeverHangsIsNamedAndNobodyElseNotices() {
        Neighbour neighbour = new Neighbour(api);
        long last = lastEvent();
        Map<UUID, Overdue> culprits = new HashMap<>();
        List<Supplier<Answer>> acts = new ArrayList<>();
        for (Vice vice : Vice.values()) {
            if (toldOf(vice) instanceof Overdue it) {
                UUID culprit = UUID.randomUUID();
                culprits.put(culprit, it);
                if (it.act == Act.CREATE) {
                    acts.add(() -> create(culprit, vice));
                } else {
                    create(culprit, vice).requireStatus(201);
                    acts.add(() -> act(it.act, culprit));
                }
            }
        }
        List<CompletableFuture<Answer>> callers =
                acts.stream()
                        .map(act ->
                                CompletableFuture.supplyAsync(
                                        act, task -> Thread.ofPlatform().daemon().start(task)))
                        .toList();

        culprits.forEach((culprit, it) -> {
            String subject = it.act == Act.CREATE ? "parents/hostile" : "mdevs/" + culprit;
            awaitEvent(last, "callback_overdue", subject, "callback=" + it.callback);
            String line = it.act == Act.CREATE ? "parent=hostile" : "mdev=" + culprit;
            assertThat(api.get("/api/v1/doctor").body().at("/overdue").toString())
                    .contains(line + " " + it.callback);
        });
        neighbour.requireWorking();

        HostileDriver.Stuck.releaseAll();
        callers.forEach(CompletableFuture::join);
        await("end of callbacks", () -> api.get("/api/v1/doctor").body().at("/overdue").isEmpty());
        culprits.forEach((culprit, it) ->
                await(it + " of " + culprit, () -> isThere(culprit) == (it.act != Act.REMOVE)));
        requireGivenBack(neighbour, culprits.keySet());
    }

    private Answer create(UUID culprit, Vice vice) {
        return api.put(
                "/api/v1/mdevs/" + culprit,
                "{\"parent\":\"%s\",\"type\":\"%s\"}".formatted(HostileDriver.PARENT, vice.type()));
    }

    private Answer act(Act act, UUID culprit) {
        String path = "/api/v1/mdevs/" + culprit;
        return switch (act) {
            case CREATE -> throw new IllegalArgumentException("it is there: " + culprit);
            case TOUCH -> store(culprit, 0, 0x1008);
            case RING -> store(culprit, 2, 0);
            case ATTACH -> attach(culprit).getLast();
            case RELEASE -> {
                attach(culprit).forEach(answer -> answer.requireStatus(201));
                yield api.delete("/api/v1/machines/" + machineOf(culprit));
            }
            case COUNT -> api.get(path + "/counters");
            case SAVE -> {
                Answer saved = api.get(path + "/state");
                while (saved.body().at("/retryable").asBoolean()) {
                    // On a busy machine, the most that the host takes is too late.
                    saved = api.get(path + "/state");
                }
                yield saved;
            }
            case RESTORE -> api.putBytes(path + "/state", api.bytes(path + "/state").body());
            case REMOVE -> api.delete(path);
        };
    }

    private static String machineOf(UUID culprit) {
        return "vm-" + culprit;
    }

    private List<Answer> attach(UUID culprit) {
        String machine = machineOf(culprit);
        return List.of(
                api.post(
                        "/api/v1/machines",
                        "{\"name\":\"%s\",\"ramMib\":1,\"vcpus\":1}".formatted(machine)),
                api.put("/api/v1/machines/%s/devices/%s".formatted(machine, culprit), ""));
    }

    /// A guest stores what no neighbour does.
    private Answer store(UUID culprit, int bar, int offset) {
        attach(culprit).forEach(answer -> answer.requireStatus(201));
        return api.run(
                machineOf(culprit),
                """
                {"deadlineMillis":600000,"steps":[{"op":"write","width":4,"value":48879,
                "at":{"mdev":"%s","bar":%d,"offset":%d}}]}\
                """
                        .formatted(culprit, bar, offset));
    }

    private long lastEvent() {
        return api.get("/api/v1/events").numberAt("/lastId");
    }

    private void awaitEvent(long after, String kind, String subject, String words) {
        await(
                "%s of %s: %s".formatted(kind, subject, words),
                () -> {
                    for (JsonNode event :
                            api.get("/api/v1/events?limit=1000&after=" + after)
                                    .body()
                                    .at("/items")) {
                        if (event.at("/kind").asString().equals(kind)
                                && event.at("/subject").asString().equals(subject)
                                && event.at("/detail").asString().contains(words)) {
                            return true;
                        }
                    }
                    return false;
                });
    }

    private static void await(String what, BooleanSupplier condition) {
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime() - end).as(what).isNegative();
            Thread.onSpinWait();
        }
    }

    private boolean isThere(UUID culprit) {
        return api.get("/api/v1/mdevs/" + culprit).status() == 200;
    }

    /// At the end of all machines and devices, their pages are free, and no thread is in the code
    /// of the driver or bears the name of a culprit.
    private void requireGivenBack(Neighbour neighbour, Collection<UUID> culprits) {
        neighbour.requireNoHarm(culprits.stream().filter(this::isThere).toArray(UUID[]::new));
        await("threads of " + culprits, () -> threadsOf(culprits).isEmpty());
        assertThat(api.get("/api/v1/doctor").body().at("/overdue")).isEmpty();
        assertThat(api.get("/api/v1/doctor").body().at("/lost")).isEmpty();
    }

    private static List<String> threadsOf(Collection<UUID> culprits) {
        return Thread.getAllStackTraces().entrySet().stream()
                .filter(thread ->
                        Arrays.stream(thread.getValue())
                                        .anyMatch(frame ->
                                                frame.getClassName()
                                                        .startsWith(HostileDevice.class.getName()))
                                || culprits.stream()
                                        .anyMatch(culprit ->
                                                thread.getKey()
                                                        .getName()
                                                        .contains(culprit.toString())))
                .map(thread -> thread.getKey().getName())
                .toList();
    }
}
