package dev.mdev.host.event;

import java.time.Instant;

/// Something that happened.
///
/// @param id counts up from 1 since the service started, without gaps
/// @param kind what
/// @param subject to what: `mdevs/UUID` or `machines/NAME`
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
        /// A driver granted what it must not; nothing was mapped.
        GRANT_REFUSED,
        /// A driver threw, or did not answer in time.
        DRIVER_FAILED
    }
}
