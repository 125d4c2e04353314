package dev.mdev.core.ledger;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.MdevException;
import dev.mdev.core.store.Journal;
import dev.mdev.core.store.StateFiles;
import dev.mdev.core.store.StoreException;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Function;

/// The journal of the bus, and what it adds up to.
///
/// There are two ways to record. What must be so before the next step may happen, the beginning of
/// a verb above all, is written and made durable, or the call throws and nothing is recorded. The
/// rest is recorded come what may: if the disk does not take it now, it is part of the next write
/// that succeeds, and the operator is told meanwhile. Of that, what a crash of the host may make us
/// do again without harm is not made durable by itself.
///
/// All methods may be called by any thread.
public final class Ledger {
    private static final String JOURNAL = "journal";
    private static final long MIN_COMPACTION_BYTES = 256 << 10;

    private final ReentrantLock recording = new ReentrantLock();
    private final Consumer<StoreException> trouble;
    private final Opening opening;

    @GuardedBy("recording")
    private final LedgerState state;

    @GuardedBy("recording")
    private final Journal journal;

    /// The journal's size from which it is rewritten.
    @GuardedBy("recording")
    private long compactionBytes;

    /// Whether the state has a record that the journal has not.
    @GuardedBy("recording")
    private boolean unwritten;

    /// Why the journal could not be written when it was last tried; null if it could.
    @GuardedBy("recording")
    private @Nullable StoreException failure;

    private Ledger(
            Journal journal, LedgerState state, Opening opening, Consumer<StoreException> trouble) {
        this.journal = journal;
        this.state = state;
        this.opening = opening;
        this.trouble = trouble;
    }

    /// What was found when the ledger was opened.
    ///
    /// @param unfinished the verbs that a crash interrupted, oldest first
    /// @param torn whether a record was being written when the process died
    /// @param damage what is wrong with the journal, if it lost records: every page of every parent
    ///   counts as dirty then
    public record Opening(List<Unfinished> unfinished, boolean torn, Optional<String> damage) {
        public Opening {
            unfinished = List.copyOf(unfinished);
        }
    }

    /// Opens the ledger in `files`.
    ///
    /// Its journal is rewritten. If that fails, the disk being full for instance, the old one stays
    /// as it is, and no verb begins until a rewrite succeeds, which is tried each time: a restart
    /// meanwhile finds what this one found, and counts as dirty all that did then.
    ///
    /// @param trouble is told what kept a record from being written that will be written later
    /// @throws MdevException if the journal cannot be read: what the files say, EFBIG if it is too
    ///   large; EOPNOTSUPP if a newer version of this program wrote it
    public static Ledger open(StateFiles files, Consumer<StoreException> trouble) {
        return open(files, trouble, Journal.MAX_BYTES);
    }

    /// A ledger whose journal is never larger than `maxBytes`.
    static Ledger open(StateFiles files, Consumer<StoreException> trouble, int maxBytes) {
        Journal journal = Journal.open(files, JOURNAL, maxBytes);
        Journal.Content content = journal.read();
        LedgerState state = new LedgerState();
        Optional<String> damage = content.damage();
        for (String text : content.texts()) {
            try {
                state.apply(LedgerCodec.decode(text));
            } catch (MdevException e) {
                damage = damage.or(() -> Optional.of(e.getMessage()));
                journal.keepCopy();
            }
        }
        if (damage.isPresent()) {
            state.distrust();
        }
        Opening opening = new Opening(state.unfinished(), content.torn(), damage);
        Ledger ledger = new Ledger(journal, state, opening, trouble);
        ledger.startAfresh();
        return ledger;
    }

    private void startAfresh() {
        StoreException why = null;
        recording.lock();
        try {
            rewriteLocked();
        } catch (StoreException e) {
            failure = e;
            why = e;
        } finally {
            recording.unlock();
        }
        if (why != null) {
            trouble.accept(why);
        }
    }

    /// What keeps the journal from being written, if something did when it was last tried.
    public Optional<String> failure() {
        recording.lock();
        try {
            return Optional.ofNullable(failure).map(StoreException::toString);
        } finally {
            recording.unlock();
        }
    }

    /// What was found when the ledger was opened.
    public Opening opening() {
        return opening;
    }

    /// The verbs that began and have not ended, oldest first.
    public List<Unfinished> unfinished() {
        return ask(LedgerState::unfinished);
    }

    /// Records that a verb begins, durably, and that the pages of the subject's share may hold
    /// somebody's bytes from now on.
    ///
    /// @return the verb's number
    /// @throws MdevException what the files say; nothing began then
    public long begin(Verb verb, Subject subject) {
        recording.lock();
        try {
            long op = state.nextOp();
            writeLocked(new LedgerRecord.Began(op, verb, subject), true);
            return op;
        } finally {
            recording.unlock();
        }
    }

    /// Records that a step of a verb was done.
    public void step(long op, String step) {
        record(new LedgerRecord.Stepped(op, step));
    }

    /// Records, durably, that what a verb wants is so: from now on a crash ends new.
    ///
    /// @throws MdevException what the files say; the verb has not ended then
    public void commit(long op) {
        recording.lock();
        try {
            writeLocked(new LedgerRecord.Ended(op, true), true);
        } finally {
            recording.unlock();
        }
    }

    /// Records that a verb ended, which needs no durability: a crash before would end it the same
    /// way.
    ///
    /// @param done whether what it wants is so; else all is as it was before
    public void end(long op, boolean done) {
        record(new LedgerRecord.Ended(op, done));
    }

    /// Records which pools a parent has. If they are others than before, or nothing is known of the
    /// parent, all its pages count as dirty.
    public void met(String parent, List<PoolRuns> pools) {
        record(new LedgerRecord.Met(parent, pools));
    }

    /// Records that pages were scrubbed, and that this was verified.
    public void markClean(String parent, List<ApertureRun> runs) {
        record(new LedgerRecord.Marked(parent, LedgerRecord.Mark.CLEAN, runs));
    }

    /// Records that pages may hold somebody's bytes.
    public void markDirty(String parent, List<ApertureRun> runs) {
        record(new LedgerRecord.Marked(parent, LedgerRecord.Mark.DIRTY, runs), true);
    }

    /// Records that pages could not be scrubbed and are not to be given out.
    public void markBad(String parent, List<ApertureRun> runs) {
        record(new LedgerRecord.Marked(parent, LedgerRecord.Mark.BAD, runs), true);
    }

    /// Records that bad pages may be given out once they were scrubbed.
    public void markGood(String parent, List<ApertureRun> runs) {
        record(new LedgerRecord.Marked(parent, LedgerRecord.Mark.GOOD, runs));
    }

    /// Records that a device exists, with these pages.
    public void active(Subject subject) {
        record(new LedgerRecord.Active(subject), true);
    }

    /// Records that a device does not exist, doomed or not.
    public void gone(String parent, UUID uuid) {
        record(new LedgerRecord.Gone(parent, uuid));
    }

    /// Records that a device is to be ended if its parent has it.
    public void doom(String parent, UUID uuid) {
        record(new LedgerRecord.Doomed(parent, uuid), true);
    }

    /// The devices of a parent that existed when last heard of.
    public List<Subject> activeOf(String parent) {
        return ask(now -> now.active(parent));
    }

    /// A device that existed when last heard of.
    public Optional<Subject> active(String parent, UUID uuid) {
        return ask(now -> now.active(parent, uuid));
    }

    /// The devices that are to be ended if the parent has them.
    public List<UUID> doomed(String parent) {
        return ask(now -> now.doomed(parent));
    }

    /// The pages of a parent that may hold somebody's bytes, those of its devices included.
    public List<ApertureRun> dirty(String parent) {
        return ask(now -> now.dirty(parent));
    }

    /// The pages of a parent that are not given out.
    public List<ApertureRun> bad(String parent) {
        return ask(now -> now.bad(parent));
    }

    private <T> T ask(Function<LedgerState, T> question) {
        recording.lock();
        try {
            return question.apply(state);
        } finally {
            recording.unlock();
        }
    }

    private void record(LedgerRecord fact) {
        record(fact, false);
    }

    private void record(LedgerRecord fact, boolean durable) {
        StoreException why = null;
        recording.lock();
        try {
            why = tryWriteLocked(fact, durable);
        } finally {
            recording.unlock();
        }
        if (why != null) {
            trouble.accept(why);
        }
    }

    /// Applies a record whether or not it could be written. If it could not, the journal is
    /// rewritten from the state before the next record.
    @GuardedBy("recording")
    private @Nullable StoreException tryWriteLocked(LedgerRecord fact, boolean durable) {
        try {
            writeLocked(fact, durable);
            return null;
        } catch (StoreException e) {
            state.apply(fact);
            unwritten = true;
            return e;
        }
    }

    @GuardedBy("recording")
    private void writeLocked(LedgerRecord fact, boolean durable) {
        String text = LedgerCodec.encode(fact);
        try {
            if (journal.mustRewrite() || unwritten) {
                rewriteLocked();
            } else if (journal.sizeBytes() + text.length() > compactionBytes) {
                compactLocked();
            }
            journal.append(text, durable);
            failure = null;
        } catch (StoreException e) {
            failure = e;
            throw e;
        }
        state.apply(fact);
    }

    /// Makes the journal smaller. If that is not possible now, it is tried again when the journal
    /// has grown some more.
    @GuardedBy("recording")
    private void compactLocked() {
        try {
            rewriteLocked();
        } catch (StoreException e) {
            if (journal.mustRewrite()) {
                throw e;
            }
            compactionBytes = journal.sizeBytes() + MIN_COMPACTION_BYTES;
        }
    }

    @GuardedBy("recording")
    private void rewriteLocked() {
        journal.rewrite(state.records().stream().map(LedgerCodec::encode).toList());
        unwritten = false;
        long size = journal.sizeBytes();
        // Less than the journal may have, however large what it holds is.
        compactionBytes =
                Math.min(Math.max(MIN_COMPACTION_BYTES, 4 * size), (size + journal.maxBytes()) / 2);
    }
}
