package dev.mdev.host.event;

import java.time.Instant;

/// An event of this host.
///
/// @param id counts up from 1 in its epoch, without gaps
/// @param kind the kind of event
/// @param subject its subject: `mdevs/UUID`, `machines/NAME`, `parents/NAME`, `drivers/NAME`,
///   `operations/ID`, `definitions/FILE` or `journal`
/// @param detail further text
public record Event(long id, Instant time, Kind kind, String subject, String detail) {
    /// The kinds of events.
    public enum Kind {
        /// A device was created.
        MDEV_CREATED,
        /// A device was removed and its pages scrubbed.
        MDEV_REMOVED,
        /// A device's mappings were revoked.
        MDEV_REVOKED,
        /// A device was reset, by an operator or by its guest.
        MDEV_RESET,
        /// A machine was created.
        MACHINE_CREATED,
        /// A machine was deleted.
        MACHINE_DELETED,
        MACHINE_SAVED,
        MACHINE_RESTORED,
        /// A device was attached to a machine.
        MDEV_ATTACHED,
        /// A device was detached from a machine.
        MDEV_DETACHED,
        /// A device was defined, or its definition changed.
        MDEV_DEFINED,
        /// A definition was deleted.
        MDEV_UNDEFINED,
        /// A holder was asked to release a device.
        RELEASE_REQUESTED,
        /// A device's pages were moved to make room.
        MDEV_MOVED,
        /// A device's state was saved.
        STATE_SAVED,
        /// A device's state was restored.
        STATE_RESTORED,
        /// A parent arrived.
        PARENT_ARRIVED,
        /// A parent left.
        PARENT_LEFT,
        /// A foreign device was found; it stays untouched.
        FOREIGN_FOUND,
        /// A foreign device no longer exists.
        FOREIGN_GONE,
        /// Work began that goes on after the answer to its call.
        OPERATION_STARTED,
        /// It ended.
        OPERATION_ENDED,
        /// Recovery completed or undid a verb that a crash of this service interrupted.
        VERB_RESOLVED,
        /// A lost device has ended.
        MDEV_RECOVERED,
        /// A device was taken from a holder that did not release it.
        MDEV_TAKEN(true),
        /// A device cannot end: its driver does not let go of it.
        MDEV_LOST(true),
        /// A device with autostart failed to start.
        START_FAILED(true),
        /// A definition file is damaged.
        DEFINITION_QUARANTINED(true),
        /// A device's state could not be restored; the device was reset.
        RESTORE_FAILED(true),
        /// Pages did not read back as zero, and stay unused.
        PAGES_QUARANTINED(true),
        /// The journal lost records, or cannot be written now.
        JOURNAL_TROUBLE(true),
        /// A callback of a driver was slow.
        CALLBACK_SLOW(true),
        /// A callback of a driver exceeds its deadline.
        CALLBACK_OVERDUE(true),
        /// A driver's grant broke a rule; nothing was mapped.
        GRANT_REFUSED(true),
        /// A driver threw, or did not answer in time.
        DRIVER_FAILED(true),
        /// A driver told of a trouble with a device or a parent.
        DRIVER_REPORT(true),
        /// A driver gives up none of the pages that other devices need.
        EVICTION_REFUSED(true),
        /// The backing store did not take or return content of a device.
        BACKING_STORE_FAILED(true),
        /// The devices of a pool use more pages than it has.
        THRASHING(true);

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
