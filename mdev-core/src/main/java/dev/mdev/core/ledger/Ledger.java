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

/// The journal of the bus, and the state that results from it.
///
/// There are two ways to record. A record that must precede the next step, above all the beginning
/// of a verb, is written and made durable, or the call throws and records nothing. Every other
/// record is always accepted: if the disk fails now, the record is part of the next successful
/// write, and the operator gets a report in the meantime. Such a record gets no sync of its own if
/// repeating its step after a crash of the host is harmless.
///
/// All methods may be called by any thread.
public final class Ledger {
    private static final String JOURNAL = "journal";
    private static final long MIN_COMPACTION_BYTES = 256 << 10;

    /// The most runs of pages in one record.
    private static final int MAX_RUNS = 256;

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

    /// Whether the state has a record that the journal lacks.
    @GuardedBy("recording")
    private boolean unwritten;

    /// Why the last write of the journal failed; null if it succeeded.
    @GuardedBy("recording")
    private @Nullable StoreException failure;

    private Ledger(
            Journal journal, LedgerState state, Opening opening, Consumer<StoreException> trouble) {
        this.journal = journal;
        this.state = state;
        this.opening = opening;
        this.trouble = trouble;
    }

    /// The ledger's state at its opening.
    ///
    /// @param unfinished the verbs that a crash interrupted, oldest first
    /// @param torn whether the process died while it wrote a record
    /// @param damage the damage of the journal, if it lost records: every page of every parent then
    ///   counts as dirty
    public record Opening(List<Unfinished> unfinished, boolean torn, Optional<String> damage) {
        public Opening {
            unfinished = List.copyOf(unfinished);
        }
    }

    /// Opens the ledger in `files`.
    ///
    /// Opening rewrites the journal. If that fails, for example because the disk is full, the old
    /// journal stays, and no verb begins until a rewrite succeeds; each verb tries again. A restart
    /// in the meantime finds the same state, with the same dirty pages.
    ///
    /// @param trouble receives the reason of each postponed write
    /// @throws MdevException if the journal is unreadable: the files' error, EFBIG if it is too
    ///   large; EOPNOTSUPP if a newer version of this program wrote it
    public static Ledger open(StateFiles files, Consumer<StoreException> trouble) {
        return open(files, trouble, Journal.MAX_BYTES);
    }

    /// A ledger with a journal of at most `maxBytes`.
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
        ledger.rewriteOrPostpone();
        return ledger;
    }

    private void rewriteOrPostpone() {
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

    /// The reason why the last write of the journal failed, if it failed.
    public Optional<String> failure() {
        recording.lock();
        try {
            return Optional.ofNullable(failure).map(StoreException::toString);
        } finally {
            recording.unlock();
        }
    }

    /// The state at the opening.
    public Opening opening() {
        return opening;
    }

    /// The running verbs, oldest first.
    public List<Unfinished> unfinished() {
        return ask(LedgerState::unfinished);
    }

    /// Records durably that a verb begins, and that the pages of the subject's share may be dirty
    /// from now on.
    ///
    /// @return the verb's number
    /// @throws MdevException the files' error; the verb has not begun then
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

    /// Records that a verb completed a step.
    public void step(long op, String step) {
        record(new LedgerRecord.Stepped(op, step));
    }

    /// Records durably that a verb reached its goal: from now on a crash leads to the new state.
    ///
    /// @throws MdevException the files' error; the verb has not ended then
    public void commit(long op) {
        recording.lock();
        try {
            writeLocked(new LedgerRecord.Ended(op, true), true);
        } finally {
            recording.unlock();
        }
    }

    /// Records that a verb ended, without durability: after a crash, recovery reaches the same end.
    ///
    /// @param done whether it reached its goal; otherwise the old state is restored
    public void end(long op, boolean done) {
        record(new LedgerRecord.Ended(op, done));
    }

    /// Records the pools of a parent. If they have changed, or the parent is unknown, all its pages
    /// count as dirty.
    public void met(String parent, List<PoolRuns> pools) {
        record(new LedgerRecord.Met(parent, pools));
    }

    /// Records that pages were scrubbed and verified.
    public void markClean(String parent, List<ApertureRun> runs) {
        record(new LedgerRecord.Marked(parent, LedgerRecord.Mark.CLEAN, runs));
    }

    /// Records that pages may be dirty.
    public void markDirty(String parent, List<ApertureRun> runs) {
        record(new LedgerRecord.Marked(parent, LedgerRecord.Mark.DIRTY, runs), true);
    }

    /// Records durably that pages may be dirty, before a device that exists gets them.
    ///
    /// @throws MdevException the files' error; nothing is recorded then
    public void claim(String parent, List<ApertureRun> runs) {
        recording.lock();
        try {
            for (int i = 0; i < runs.size(); i += MAX_RUNS) {
                List<ApertureRun> some = runs.subList(i, Math.min(runs.size(), i + MAX_RUNS));
                boolean last = i + MAX_RUNS >= runs.size();
                writeLocked(new LedgerRecord.Marked(parent, LedgerRecord.Mark.DIRTY, some), last);
            }
        } finally {
            recording.unlock();
        }
    }

    /// Records that pages could not be scrubbed and must stay unused.
    public void markBad(String parent, List<ApertureRun> runs) {
        record(new LedgerRecord.Marked(parent, LedgerRecord.Mark.BAD, runs), true);
    }

    /// Records that bad pages are usable again after scrubbing.
    public void markGood(String parent, List<ApertureRun> runs) {
        record(new LedgerRecord.Marked(parent, LedgerRecord.Mark.GOOD, runs));
    }

    /// Records that a device exists, with these pages.
    public void active(Subject subject) {
        record(new LedgerRecord.Active(subject), true);
    }

    /// Records that a device does not exist, whether doomed or not.
    public void gone(String parent, UUID uuid) {
        record(new LedgerRecord.Gone(parent, uuid));
    }

    /// Records that a device must be ended if its parent has it.
    public void doom(String parent, UUID uuid) {
        record(new LedgerRecord.Doomed(parent, uuid), true);
    }

    /// The devices of a parent that existed according to the last record.
    public List<Subject> activeOf(String parent) {
        return ask(now -> now.active(parent));
    }

    /// A device that existed according to the last record.
    public Optional<Subject> active(String parent, UUID uuid) {
        return ask(now -> now.active(parent, uuid));
    }

    /// The devices that must be ended if the parent has them.
    public List<UUID> doomed(String parent) {
        return ask(now -> now.doomed(parent));
    }

    /// The dirty pages of a parent, including those of its devices.
    public List<ApertureRun> dirty(String parent) {
        return ask(now -> now.dirty(parent));
    }

    /// The quarantined pages of a parent.
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

    /// Applies a record even if its write failed. In that case the next record first rewrites the
    /// journal from the state.
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

    /// Compacts the journal. If that fails now, it is tried again after the journal has grown
    /// further.
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
        // Below the limit of the journal, regardless of the size of its content.
        compactionBytes =
                Math.min(Math.max(MIN_COMPACTION_BYTES, 4 * size), (size + journal.maxBytes()) / 2);
    }
}
