package dev.mdev.host.event;

import java.time.Instant;

/// Something that happened.
///
/// @param id counts up from 1 since the service started, without gaps
/// @param kind what
/// @param subject to what: `mdevs/UUID`, `machines/NAME`, `parents/NAME`, `drivers/NAME`,
///   `definitions/FILE` or `journal`
/// @param detail more, for people
public record Event(long id, Instant time, Kind kind, String subject, String detail) {
    /// What can happen.
    public enum Kind {
        /// A device was created.
        MDEV_CREATED,
        /// A device was removed and its pages scrubbed.
        MDEV_REMOVED,
        /// A device's mappings were revoked.
        MDEV_REVOKED,
        /// A device was put into its first state.
        MDEV_RESET,
        /// A machine was created.
        MACHINE_CREATED,
        /// A machine was deleted.
        MACHINE_DELETED,
        /// A device was put into a machine.
        MDEV_ATTACHED,
        /// A device was taken out of a machine.
        MDEV_DETACHED,
        /// A device was defined, or its definition changed.
        MDEV_DEFINED,
        /// A definition was deleted.
        MDEV_UNDEFINED,
        /// A holder was asked to let a device go.
        RELEASE_REQUESTED,
        /// A device's pages were moved to make room.
        MDEV_MOVED,
        /// A device's state was saved.
        STATE_SAVED,
        /// A device's state was restored.
        STATE_RESTORED,
        /// A parent came.
        PARENT_ARRIVED,
        /// A parent went.
        PARENT_LEFT,
        /// A device was found that somebody else made; it is left alone.
        FOREIGN_FOUND,
        /// A device of somebody else is not there any more.
        FOREIGN_GONE,
        /// A verb that a crash of this service interrupted was brought to its end.
        VERB_RESOLVED,
        /// A device that was lost is gone after all.
        MDEV_RECOVERED,
        /// A device was taken from a holder that did not let it go.
        MDEV_TAKEN(true),
        /// A device does not end: its driver does not let go of it.
        MDEV_LOST(true),
        /// A device that is to start with its parent did not.
        START_FAILED(true),
        /// A file that should be a definition is none.
        DEFINITION_QUARANTINED(true),
        /// A device's state could not be restored; the device was reset.
        RESTORE_FAILED(true),
        /// Pages did not read back as zero, and are not handed out any more.
        PAGES_QUARANTINED(true),
        /// The journal lost records, or cannot be written now.
        JOURNAL_TROUBLE(true),
        /// A callback of a driver took long.
        CALLBACK_SLOW(true),
        /// A callback of a driver runs for longer than it may.
        CALLBACK_OVERDUE(true),
        /// A driver granted what it must not; nothing was mapped.
        GRANT_REFUSED(true),
        /// A driver threw, or did not answer in time.
        DRIVER_FAILED(true);

        private final boolean trouble;

        Kind() {
            this(false);
        }

        Kind(boolean trouble) {
            this.trouble = trouble;
        }

        /// Whether an operator should look at it.
        boolean isTrouble() {
            return trouble;
        }
    }
}
