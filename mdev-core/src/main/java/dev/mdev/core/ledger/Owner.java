package dev.mdev.core.ledger;

/// The party that may end a device.
public enum Owner {
    /// This host created it, or will.
    OURS,
    /// Another program created it, and the operator adopted it for this host.
    ADOPTED,
    /// Another program's device: shown, and never touched.
    FOREIGN
}
