package dev.mdev.host.label;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.MdevException;
import dev.mdev.core.store.Journal;
import dev.mdev.core.store.JournalLine;
import dev.mdev.core.store.StateFiles;
import dev.mdev.host.access.Existing;
import dev.mdev.host.access.Subject;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.stereotype.Component;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.UnaryOperator;

/// What operators write beside devices and machines, in the file `labels`. A device and its
/// definition have one entry. That of something that has ended is dropped at the next change.
///
/// Any thread may call all methods. Lock: `lock`, held during I/O; under it, [Existing] takes the
/// locks of the bus and of the machines, which are never held while this one is taken.
@Component
public final class Labels {
    private static final Logger log = LoggerFactory.getLogger(Labels.class);
    private static final String FILE = "labels";
    private static final String KIND = "labels";

    private final ObjectProvider<Existing> existing;
    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final Journal journal;

    @GuardedBy("lock")
    private final Map<Subject, Metadata> entries = new LinkedHashMap<>();

    /// @throws MdevException the files' error
    Labels(StateFiles files, ObjectProvider<Existing> existing) {
        this.existing = existing;
        this.journal = Journal.open(files, FILE);
        Journal.Content content = journal.read();
        for (String text : content.texts()) {
            try {
                JournalLine line = JournalLine.decode(text);
                entries.put(
                        new Subject(line.constant("kind", Subject.Kind.class), line.get("subject")),
                        Metadata.of(line));
            } catch (MdevException e) {
                journal.keepCopy();
                log.error("a line of the file of labels means nothing: {}", e.toString());
            }
        }
        content.damage().ifPresent(what -> log.error("the file of labels is damaged at {}", what));
    }

    /// What is written beside something.
    public Metadata of(Subject subject) {
        lock.lock();
        try {
            return entries.getOrDefault(subject, Metadata.NONE);
        } finally {
            lock.unlock();
        }
    }

    /// Replaces what is written beside something.
    ///
    /// @throws MdevException the files' error; nothing changes then
    public void set(Subject subject, Metadata next) {
        change(subject, _ -> next);
    }

    /// Changes what is written beside something: no other change comes in between.
    ///
    /// @param form may throw; nothing changes then
    /// @throws MdevException the files' error; nothing changes then
    public void change(Subject subject, UnaryOperator<Metadata> form) {
        lock.lock();
        try {
            Metadata before = entries.getOrDefault(subject, Metadata.NONE);
            Metadata next = form.apply(before);
            if (next.equals(before)) {
                return;
            }
            entries.keySet().removeIf(it -> !it.equals(subject) && !exists(it));
            put(subject, next);
            try {
                journal.rewrite(lines());
            } catch (RuntimeException e) {
                put(subject, before);
                throw e;
            }
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void put(Subject subject, Metadata metadata) {
        if (metadata.isEmpty()) {
            entries.remove(subject);
        } else {
            entries.put(subject, metadata);
        }
    }

    @GuardedBy("lock")
    private List<String> lines() {
        return entries.entrySet().stream()
                .map(it ->
                        it.getValue()
                                .addTo(
                                        JournalLine.of(KIND)
                                                .with(
                                                        "kind",
                                                        JournalLine.wordOf(it.getKey().kind()))
                                                .with("subject", it.getKey().name()))
                                .encode())
                .toList();
    }

    private boolean exists(Subject subject) {
        return existing.stream()
                .filter(it -> it.kind() == subject.kind())
                .anyMatch(it -> it.exists(subject.name()));
    }
}
