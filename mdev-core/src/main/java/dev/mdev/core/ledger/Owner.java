package dev.mdev.core.ledger;

/// Whose device it is.
public enum Owner {
    /// This host made it, or will.
    OURS,
    /// Somebody else made it, and the operator said that this host is to look after it.
    ADOPTED,
    /// Somebody else's: shown, and never touched.
    FOREIGN
}
