package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.springframework.test.annotation.DirtiesContext;
import org.springframework.test.context.TestPropertySource;

import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/// Events as they happen.
@DirtiesContext
@TestPropertySource(properties = {"mdev.events.max-watchers=3", "mdev.events.heartbeat=50ms"})
class EventStreamTest extends HostTest {
    private static final String EVENTS = "/api/v1/events";

    /// A watcher, as soon as there is room: the service learns of those that left when it sends
    /// something.
    private Watch watch(String query, String... headers) {
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        while (true) {
            Watch watch = Watch.open(port(), EVENTS + query, headers);
            if (watch.status() == 200 || System.nanoTime() - end > 0) {
                return watch;
            }
            watch.close();
        }
    }

    /// The answer to a poll, as soon as there is room, as for [#watch].
    private Answer poll(String query) {
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        Answer answer = api.get(EVENTS + query);
        while (answer.status() == 503 && System.nanoTime() - end < 0) {
            answer = api.get(EVENTS + query);
        }
        return answer;
    }

    @Test
    void aNewWatcherSeesWhatHappensFromNowOn() {
        api.createMachine("before");
        try (Watch watch = watch("")) {
            Watch.Message open = watch.next();
            assertThat(open.name()).isEqualTo("open");
            assertThat(open.id()).endsWith(":" + open.json().at("/lastId").asString());
            api.createMachine("after");

            Watch.Message event = watch.next();

            assertThat(event.json().at("/kind").asString()).isEqualTo("machine_created");
            assertThat(event.json().at("/subject").asString()).isEqualTo("machines/after");
            assertThat(event.id()).endsWith(":" + event.json().at("/id").asString());
        }
    }

    @Test
    void aWatcherThatResumesSeesEachEventOnce() {
        Watch.Message seen;
        try (Watch watch = watch("")) {
            watch.next();
            api.createMachine("one");
            seen = watch.next();
        }
        api.createMachine("two");
        try (Watch watch = watch("", "Last-Event-ID", seen.id())) {
            assertThat(watch.next().id()).isEqualTo(seen.id());
            api.createMachine("three");
            assertThat(watch.next().json().at("/subject").asString()).isEqualTo("machines/two");
            assertThat(watch.next().json().at("/subject").asString()).isEqualTo("machines/three");
        }
    }

    @Test
    void aWatcherOfAFormerLifeIsToldOfTheGap() {
        try (Watch watch = watch("", "Last-Event-ID", "0123456789abcdef:5")) {
            assertThat(watch.next().id()).as("no id before the gap is told").isEmpty();
            Watch.Message gap = watch.next();
            assertThat(gap.name()).isEqualTo("gap");
            assertThat(gap.id()).doesNotStartWith("0123456789abcdef");
        }
    }

    @Test
    void aHeartbeatMovesThePlaceOfAWatcherOfOtherEvents() {
        try (Watch watch = watch("?subject=machines/other&kind=machine_created")) {
            String start = watch.next().id();
            api.createMachine("one");
            String moved = watch.heartbeatAfter(start);

            assertThat(moved).isNotEqualTo(start);
            api.createMachine("other");
            assertThat(watch.next().json().at("/subject").asString()).isEqualTo("machines/other");
        }
    }

    @Test
    void thereAreNoMoreWatchersThanAllowed() {
        try (Watch one = watch("");
                Watch two = watch("");
                Watch three = watch("")) {
            List.of(one, two, three).forEach(Watch::next);
            api.send("GET", EVENTS, "", Map.of("Accept", "text/event-stream"))
                    .requireProblem(503, "unavailable");
            api.get(EVENTS).requireStatus(200);
        }
        try (Watch next = watch("")) {
            assertThat(next.status()).as("those that left make room").isEqualTo(200);
        }
    }

    @Test
    void aLongPollAnswersAsSoonAsSomethingHappens() throws Exception {
        String cursor = api.get(EVENTS + "?limit=1000").at("/next");
        assertThat(poll("?wait=1ms&after=" + cursor).requireStatus(200).body().at("/items").size())
                .isZero();
        CompletableFuture<Answer> answer =
                CompletableFuture.supplyAsync(
                        () -> poll("?wait=60s&kind=mdev_created&after=" + cursor));
        api.createMachine("unwanted");
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");

        Answer found = answer.get(Deadlines.HANG_SECONDS, TimeUnit.SECONDS).requireStatus(200);

        assertThat(found.at("/items/0/subject")).isEqualTo("mdevs/" + mdev);
        assertThat(found.body().at("/gap").asBoolean()).isFalse();
    }

    @Test
    void wrongParametersAreRefused() {
        for (String query : List.of("wait=61s", "wait=-1s", "kind=sun", "limit=0", "limit=1001")) {
            api.get(EVENTS + "?" + query).requireProblem(422, "invalid");
        }
        api.send("GET", EVENTS, "", Map.of("Accept", "text/event-stream", "Last-Event-ID", "x y"))
                .requireProblem(400, "malformed");
        assertThat(api.get(EVENTS + "?after=999999999").body().at("/gap").asBoolean()).isTrue();
    }
}
