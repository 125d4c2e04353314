package dev.mdev.api.page;

/// What a guest does to memory.
public enum Access {
    /// The guest loads.
    READ,
    /// The guest stores.
    WRITE
}
