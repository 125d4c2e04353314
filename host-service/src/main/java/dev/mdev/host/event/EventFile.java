package dev.mdev.host.event;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.store.Journal;
import dev.mdev.core.store.JournalLine;
import dev.mdev.core.store.StateFiles;

import org.jspecify.annotations.Nullable;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/// The events in the state directory.
///
/// An event is in the file before anyone sees it, but no sync delays it: it survives the end of the
/// process, while a crash of the host may lose the last ones. Therefore an *epoch* names the
/// numbering: a new one begins with each boot of the host, and whenever events may have been lost.
/// In the meantime a number never means two events.
///
/// Not safe for use by several threads.
final class EventFile {
    private static final String NAME = "events";
    private static final Path BOOT_ID = Path.of("/proc/sys/kernel/random/boot_id");

    private static final String EPOCH = "epoch";
    private static final String EVENT = "event";

    private final Journal journal;
    private final int kept;
    private final String boot;

    /// Lines since the last rewrite.
    private int lines;

    private EventFile(Journal journal, int kept, String boot) {
        this.journal = journal;
        this.kept = kept;
        this.boot = boot;
    }

    /// The file and its content.
    ///
    /// @param epoch nothing if a new one must begin
    /// @param events of this epoch, oldest first, without gaps
    record Opened(EventFile file, Optional<String> epoch, List<Event> events) {}

    /// Opens the file. A damaged one begins a new epoch; a copy of it is kept.
    ///
    /// @param kept the number of events that stay when the file is rewritten
    static Opened open(StateFiles files, int kept) {
        return open(files, kept, bootId());
    }

    /// @param boot differs between two boots of the host
    static Opened open(StateFiles files, int kept, String boot) {
        Journal journal = Journal.open(files, NAME);
        EventFile file = new EventFile(journal, kept, boot);
        try {
            Journal.Content content = journal.read();
            if (content.damage().isEmpty()) {
                return file.decode(content.texts());
            }
        } catch (MdevException e) {
            if (e.errno() == Errno.EOPNOTSUPP) {
                throw e;
            }
            journal.keepCopy();
        }
        return new Opened(file, Optional.empty(), List.of());
    }

    /// @throws MdevException EINVAL if they are not the lines of this class
    private Opened decode(List<String> texts) {
        String epoch = null;
        List<Event> events = new ArrayList<>();
        for (String text : texts) {
            JournalLine line = JournalLine.decode(text);
            if (line.kind().equals(EPOCH)) {
                epoch = line.get("boot").equals(boot) ? line.get("id") : null;
            } else {
                events.add(event(line, events.isEmpty() ? null : events.getLast()));
            }
        }
        return epoch == null
                ? new Opened(this, Optional.empty(), List.of())
                : new Opened(this, Optional.of(epoch), events);
    }

    private static Event event(JournalLine line, @Nullable Event before) {
        long id = line.number("id");
        if (before != null && id != before.id() + 1) {
            throw new MdevException(Errno.EINVAL, "no event comes before id=" + id);
        }
        try {
            return new Event(
                    id,
                    Instant.parse(line.get("time")),
                    line.constant("kind", Event.Kind.class),
                    line.get("subject"),
                    line.get("detail"));
        } catch (DateTimeException e) {
            throw new MdevException(Errno.EINVAL, "no time: " + line.get("time"), e);
        }
    }

    /// Whether the file is to be rewritten before the next event: at the start, after a failure,
    /// and when it has become long.
    boolean wantsRewrite() {
        return journal.mustRewrite() || lines >= 2 * kept;
    }

    /// Adds an event.
    ///
    /// @throws MdevException the files' error
    void append(Event event) {
        journal.append(encode(event), false);
        lines++;
    }

    /// Replaces the content.
    ///
    /// @throws MdevException the files' error
    void rewrite(String epoch, List<Event> events) {
        List<String> texts = new ArrayList<>();
        texts.add(JournalLine.of(EPOCH).with("id", epoch).with("boot", boot).encode());
        events.forEach(event -> texts.add(encode(event)));
        journal.rewrite(texts);
        lines = events.size();
    }

    private static String encode(Event event) {
        return JournalLine.of(EVENT)
                .with("id", event.id())
                .with("time", event.time())
                .with("kind", JournalLine.wordOf(event.kind()))
                .with("subject", event.subject())
                .with("detail", event.detail())
                .encode();
    }

    /// Where no boot can be told from another, each start counts as one.
    private static String bootId() {
        try {
            return Files.readString(BOOT_ID).strip();
        } catch (IOException _) {
            return UUID.randomUUID().toString();
        }
    }
}
