package dev.mdev.core.ledger;

/// What can be done in several steps, and where a crash in the middle ends.
public enum Verb {
    /// Makes a device that is not written down. Ends old: no device.
    CREATE,
    /// Writes a definition and makes its device. Ends old: neither.
    CREATE_DEFINED,
    /// Makes the device of a definition. Ends old: defined, and not active.
    START,
    /// Takes over somebody else's device. Ends old: it is theirs.
    ADOPT,
    /// Ends a device. Ends new: no device; what is defined stays.
    STOP,
    /// Ends a device, and its definition if it has one. Ends new: neither.
    REMOVE,
    /// Writes or changes a definition. Ends old or new.
    DEFINE,
    /// Deletes a definition. Ends new.
    UNDEFINE,
    /// Gives a device other pages. Ends old or new, as the driver says if its device outlives the
    /// process.
    MOVE
}
