package dev.mdev.core.ledger;

import java.util.List;
import java.util.UUID;

/// One fact that the journal holds.
sealed interface LedgerRecord {
    /// A parent with these pools exists.
    record Met(String parent, List<PoolRuns> pools) implements LedgerRecord {
        public Met {
            pools = List.copyOf(pools);
        }
    }

    /// The state of a parent's pages changed.
    record Marked(String parent, Mark mark, List<ApertureRun> runs) implements LedgerRecord {
        public Marked {
            runs = List.copyOf(runs);
        }
    }

    /// The states of pages.
    enum Mark {
        /// They may hold a tenant's data.
        DIRTY,
        /// They were scrubbed and verified.
        CLEAN,
        /// They could not be scrubbed, and stay unused.
        BAD,
        /// They are no longer bad, but dirty.
        GOOD
    }

    /// A verb began. Pages of the subject's share may be dirty from now on.
    record Began(long op, Verb verb, Subject subject) implements LedgerRecord {}

    /// A verb completed a step.
    record Stepped(long op, String step) implements LedgerRecord {}

    /// A verb ended.
    ///
    /// @param done whether it reached its goal; otherwise the old state is restored
    record Ended(long op, boolean done) implements LedgerRecord {}

    /// A device exists.
    record Active(Subject subject) implements LedgerRecord {}

    /// A device no longer exists, and is not doomed.
    record Gone(String parent, UUID uuid) implements LedgerRecord {}

    /// If the parent has this device, it must be ended.
    record Doomed(String parent, UUID uuid) implements LedgerRecord {}
}
