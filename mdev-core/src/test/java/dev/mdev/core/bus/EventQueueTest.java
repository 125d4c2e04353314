package dev.mdev.core.bus;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.UUID;

class EventQueueTest {
    private static MdevEvent.Fact fact() {
        return new MdevEvent.Undefined(new UUID(0, 0));
    }

    @Test
    void manyThreadsEventsAreToldOneAtATimeInTheOrderOfTheirNumbers() throws Exception {
        List<Long> told = Collections.synchronizedList(new ArrayList<>());
        boolean[] telling = {false};
        EventQueue log =
                new EventQueue(event -> {
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
                                for (int n = 0; n < 1000; n++) {
                                    log.add(fact());
                                }
                            }));
        }
        for (Thread thread : threads) {
            thread.join();
        }

        assertThat(told).hasSize(4000).isSorted().doesNotHaveDuplicates();
    }

    @Test
    void aListenerThatIsTooFarBehindSeesTheGap() {
        List<Long> told = new ArrayList<>();
        EventQueue[] queue = new EventQueue[1];
        queue[0] =
                new EventQueue(event -> {
                    told.add(event.sequence());
                    for (int i = 0; event.sequence() == 1 && i < EventQueue.MAX_UNTOLD + 3; i++) {
                        queue[0].add(fact());
                    }
                });

        queue[0].add(fact());

        assertThat(told).hasSize(EventQueue.MAX_UNTOLD + 1).startsWith(1L, 5L, 6L);
    }

    @Test
    void anEventThatIsAddedWhileOneIsToldIsToldAfterIt() {
        List<Long> told = new ArrayList<>();
        EventQueue[] log = new EventQueue[1];
        log[0] =
                new EventQueue(event -> {
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
        EventQueue log =
                new EventQueue(event -> {
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
