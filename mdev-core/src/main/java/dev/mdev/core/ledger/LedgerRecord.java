package dev.mdev.core.ledger;

import java.util.List;
import java.util.UUID;

/// One fact that the journal holds.
sealed interface LedgerRecord {
    /// A parent with these pools was there.
    record Met(String parent, List<PoolRuns> pools) implements LedgerRecord {
        public Met {
            pools = List.copyOf(pools);
        }
    }

    /// Something is known of a parent's pages.
    record Marked(String parent, Mark mark, List<ApertureRun> runs) implements LedgerRecord {
        public Marked {
            runs = List.copyOf(runs);
        }
    }

    /// What can be known of pages.
    enum Mark {
        /// They hold, or may hold, somebody's bytes.
        DIRTY,
        /// They were scrubbed, and that was verified.
        CLEAN,
        /// They could not be scrubbed, and are never given out.
        BAD,
        /// They are no longer bad, but dirty.
        GOOD
    }

    /// A verb began. Pages of the subject's share may hold somebody's bytes from now on.
    record Began(long op, Verb verb, Subject subject) implements LedgerRecord {}

    /// A step of a verb was done.
    record Stepped(long op, String step) implements LedgerRecord {}

    /// A verb ended.
    ///
    /// @param done whether what it wants is so; else all is as it was before
    record Ended(long op, boolean done) implements LedgerRecord {}

    /// A device exists.
    record Active(Subject subject) implements LedgerRecord {}

    /// A device does not exist any more, nor is it doomed.
    record Gone(String parent, UUID uuid) implements LedgerRecord {}

    /// If the parent has this device, it is to be ended.
    record Doomed(String parent, UUID uuid) implements LedgerRecord {}
}
