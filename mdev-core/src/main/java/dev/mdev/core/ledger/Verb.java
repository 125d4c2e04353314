package dev.mdev.core.ledger;

/// The operations of several steps, and where a crash in the middle leads.
public enum Verb {
    /// Creates a device without a definition. Leads to the old state: no device.
    CREATE,
    /// Writes a definition and creates its device. Leads to the old state: neither.
    CREATE_DEFINED,
    /// Creates the device of a definition. Leads to the old state: defined, and not active.
    START,
    /// Adopts a foreign device. Leads to the old state: it is foreign.
    ADOPT,
    /// Ends a device. Leads to the new state: no device; its definition stays.
    STOP,
    /// Ends a device, and its definition if it has one. Leads to the new state: neither.
    REMOVE,
    /// Writes or changes a definition. Leads to the old or the new state.
    DEFINE,
    /// Deletes a definition. Leads to the new state.
    UNDEFINE,
    /// Gives a device other pages. Leads to the old or the new state; the driver decides if its
    /// device outlives the process.
    MOVE
}
