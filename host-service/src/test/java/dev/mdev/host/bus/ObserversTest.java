package dev.mdev.host.bus;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.bus.MdevEvent;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.device.ScrubReport;

import org.junit.jupiter.api.Test;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

class ObserversTest {
    private final List<String> heard = new ArrayList<>();

    private final class Listener implements MdevObserver {
        @Override
        public void event(MdevEvent event) {
            heard.add("event " + event.sequence());
        }

        @Override
        public void scrubbed(ScrubReport report) {
            heard.add("scrubbed " + report.parent());
        }
    }

    private static final class Failing implements MdevObserver {
        @Override
        public void event(MdevEvent event) {
            throw new IllegalStateException("not now");
        }

        @Override
        public void scrubbed(ScrubReport report) {
            throw new AssertionError("never");
        }
    }

    @Test
    void oneThatFailsKeepsNoOtherFromBeingTold() {
        Observers all = new Observers(List.of(new Listener(), new Failing(), new Listener()));

        all.event(new MdevEvent(7, Instant.EPOCH, new MdevEvent.JournalTrouble("full")));
        all.scrubbed(new ScrubReport("gpu0", 1, 0, 0));

        assertThat(heard).containsExactly("event 7", "event 7", "scrubbed gpu0", "scrubbed gpu0");
    }

    /// Every event must be reported, even a forgotten one.
    @Test
    void everyEventIsPassedOn() {
        assertThat(MdevObserver.class.getDeclaredMethods())
                .filteredOn(method -> !method.isSynthetic())
                .allSatisfy(method ->
                        assertThat(
                                        Observers.class.getDeclaredMethod(
                                                method.getName(), method.getParameterTypes()))
                                .isNotNull());
    }
}
