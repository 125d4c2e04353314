package dev.mdev.host.event;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.core.store.StoreException;
import dev.mdev.host.problem.ProblemException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.charset.StandardCharsets;
import java.util.List;

class EventLogTest {
    private final BrokenFiles files = new BrokenFiles();

    /// A disk that may be full.
    private static final class BrokenFiles extends MemoryFilesView {
        private boolean full;

        @Override
        void check() {
            if (full) {
                throw new StoreException(Errno.ENOSPC, "full");
            }
        }
    }

    private static void add(EventLog log, int count) {
        for (int i = 0; i < count; i++) {
            log.add(Event.Kind.MDEV_CREATED, "mdevs/" + i, "detail ä\n\0" + i);
        }
    }

    private static EventLog.Page after(EventLog log, String cursor) {
        return log.after(EventCursor.parse(cursor), EventLog.KEPT, _ -> true);
    }

    private static List<Long> ids(EventLog.Page page) {
        return page.items().stream().map(Event::id).toList();
    }

    @Test
    void eventsSurviveTheProcessWithTheirNumbersAndTheirEpoch() {
        EventLog first = new EventLog(files);
        add(first, 3);
        EventCursor cursor = first.newest();

        EventLog second = new EventLog(files);
        add(second, 2);

        EventLog.Page page = after(second, cursor.toString());
        assertThat(page.gap()).isFalse();
        assertThat(ids(page)).containsExactly(4L, 5L);
        assertThat(after(second, "0").items().getFirst())
                .isEqualTo(after(first, "0").items().getFirst());
    }

    @Test
    void noMoreThanTheLastThousandAreKeptInMemoryAndOnTheDisk() {
        EventLog log = new EventLog(files);
        add(log, 5 * EventLog.KEPT);

        assertThat(ids(after(log, "0"))).hasSize(EventLog.KEPT).startsWith(4001L);
        assertThat(ids(after(new EventLog(files), "0"))).hasSize(EventLog.KEPT).startsWith(4001L);
        assertThat(files.read("events", 1 << 20).orElseThrow().length).isLessThan(400_000);
    }

    @Test
    void aCursorOfLostEventsOfAnotherEpochOrOfTheFutureHasAGap() {
        EventLog log = new EventLog(files);
        add(log, EventLog.KEPT + 5);
        String epoch = log.newest().epoch();

        assertThat(after(log, "4").gap()).isTrue();
        assertThat(after(log, "5").gap()).isFalse();
        assertThat(after(log, epoch + ":1005").gap()).isFalse();
        assertThat(after(log, epoch + ":1006").gap()).isTrue();
        assertThat(after(log, "1006").gap()).isTrue();
        EventLog.Page foreign = after(log, "0123456789abcdef:1005");
        assertThat(foreign.gap()).isTrue();
        assertThat(ids(foreign)).hasSize(EventLog.KEPT);
    }

    @Test
    void eventsThatMayBeLostBelongToAnotherEpoch() {
        EventLog log = new EventLog(files);
        add(log, 3);
        EventCursor written = log.newest();
        files.full = true;
        add(log, 1);
        EventCursor unwritten = log.newest();
        assertThat(log.failure()).isPresent();
        assertThat(unwritten.id()).isEqualTo(4);

        EventLog next = new EventLog(files);
        files.full = false;
        EventLog afterwards = new EventLog(files);
        add(afterwards, 1);

        assertThat(after(afterwards, written.toString()).gap()).isFalse();
        assertThat(after(afterwards, unwritten.toString()).gap())
                .as("number 4 was given twice")
                .isTrue();
        assertThat(next.newest().epoch()).isNotEqualTo(unwritten.epoch());
    }

    @Test
    void aCrashOfTheHostBeginsAnEpoch() {
        EventFile.Opened one = EventFile.open(files, 10, "boot1");
        one.file().rewrite("0123456789abcdef", List.of());
        assertThat(EventFile.open(files, 10, "boot1").epoch()).contains("0123456789abcdef");
        assertThat(EventFile.open(files, 10, "boot2").epoch()).isEmpty();
    }

    @Test
    void aTornLineWasSeenByNobody() {
        add(new EventLog(files), 3);
        byte[] content = files.read("events", 1 << 20).orElseThrow();
        files.truncate("events", content.length - 4);

        EventLog log = new EventLog(files);
        add(log, 1);

        assertThat(ids(after(log, "0"))).containsExactly(1L, 2L, 3L);
        assertThat(after(log, "0").gap()).isFalse();
    }

    @Test
    void aDamagedFileBeginsAnEpochAndIsKept() {
        EventLog before = new EventLog(files);
        add(before, 3);
        byte[] content = files.read("events", 1 << 20).orElseThrow();
        content[content.length / 2] ^= 1;
        files.write("events", content);

        EventLog log = new EventLog(files);

        assertThat(after(log, before.newest().toString()).gap()).isTrue();
        assertThat(files.read("events.damaged", 1 << 20)).hasValue(content);
        files.write("events", "not a journal\n".getBytes(StandardCharsets.UTF_8));
        assertThat(new EventLog(files).newest().id()).isZero();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "-1", "x", "1:2", "0123456789abcdef:", "0123456789ABCDEF:1", "1 "})
    void otherTextIsNoCursor(String text) {
        assertThatThrownBy(() -> EventCursor.parse(text)).isInstanceOf(ProblemException.class);
    }

    @Test
    void aPageOfSomeEventsEndsWhereTheNextOneBegins() {
        EventLog log = new EventLog(files);
        add(log, 2);
        log.add(Event.Kind.MDEV_LOST, "mdevs/x", "");
        add(log, 2);
        log.add(Event.Kind.MDEV_LOST, "mdevs/y", "");
        add(log, 1);
        EventFilter lost = EventFilter.of(List.of("mdev_lost"), null);

        EventLog.Page first = log.after(EventCursor.parse("0"), 1, lost);
        EventLog.Page second = log.after(first.next(), 1, lost);
        EventLog.Page third = log.after(second.next(), 1, lost);

        assertThat(ids(first)).containsExactly(3L);
        assertThat(ids(second)).containsExactly(6L);
        assertThat(ids(third)).isEmpty();
        assertThat(third.next().id()).isEqualTo(7);
    }
}
