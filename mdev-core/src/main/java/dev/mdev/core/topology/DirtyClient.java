package dev.mdev.core.topology;

/// A client that wants to know which pages of a region are written. A region's slot logs while it
/// has a client.
public enum DirtyClient {
    /// A display that redraws what changed in its frame buffer.
    DISPLAY,
    /// Live migration, or any other copy of all of the memory while the guest runs.
    MIGRATION
}
