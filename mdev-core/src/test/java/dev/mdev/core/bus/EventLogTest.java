package dev.mdev.core.bus;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.UUID;

class EventLogTest {
    private static MdevEvent.Fact fact() {
        return new MdevEvent.Undefined(new UUID(0, 0));
    }

    @Test
    void manyThreadsEventsAreToldOneAtATimeInTheOrderOfTheirNumbers() throws Exception {
        List<Long> told = Collections.synchronizedList(new ArrayList<>());
        boolean[] telling = {false};
        EventLog log =
                new EventLog(
                        100_000,
                        event -> {
                            assertThat(telling[0]).isFalse();
                            telling[0] = true;
                            told.add(event.sequence());
                            telling[0] = false;
                        });
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            threads.add(
                    Thread.ofPlatform()
                            .start(() -> {
                                for (int n = 0; n < 2000; n++) {
                                    log.add(fact());
                                }
                            }));
        }
        for (Thread thread : threads) {
            thread.join();
        }

        assertThat(told).hasSize(8000).isSorted().doesNotHaveDuplicates();
        assertThat(log.after(7990)).hasSize(10);
    }

    @Test
    void onlyTheLastEventsAreKeptAndTheGapIsSeen() {
        EventLog log = new EventLog(3, _ -> {});
        for (int i = 0; i < 10; i++) {
            log.add(fact());
        }

        assertThat(log.after(2)).extracting(MdevEvent::sequence).containsExactly(8L, 9L, 10L);
    }

    @Test
    void anEventThatIsAddedWhileOneIsToldIsToldAfterIt() {
        List<Long> told = new ArrayList<>();
        EventLog[] log = new EventLog[1];
        log[0] =
                new EventLog(
                        10,
                        event -> {
                            if (event.sequence() == 1) {
                                log[0].add(fact());
                            }
                            told.add(event.sequence());
                        });

        log[0].add(fact());

        assertThat(told).containsExactly(1L, 2L);
    }

    @Test
    void aListenerThatThrowsIsToldTheNextOneToo() throws Exception {
        List<Throwable> seen = new ArrayList<>();
        List<Long> told = new ArrayList<>();
        EventLog log =
                new EventLog(
                        10,
                        event -> {
                            told.add(event.sequence());
                            throw new IllegalStateException("listener");
                        });
        Thread thread =
                Thread.ofPlatform()
                        .uncaughtExceptionHandler((_, e) -> seen.add(e))
                        .start(() -> {
                            log.add(fact());
                            log.add(fact());
                        });
        thread.join();

        assertThat(told).containsExactly(1L, 2L);
        assertThat(seen).hasSize(2);
    }
}
