package dev.mdev.api.page;

/// How a processor may keep accesses to memory in its caches and buffers: the memory types of x86
/// that a host gives to the memory of devices.
public enum Caching {
    /// As main memory: loads and stores may stay in the caches.
    WRITE_BACK,

    /// Stores may wait, and be combined, in a buffer; loads are not cached. For frame buffers.
    WRITE_COMBINING,

    /// Each access reaches the device, in order. For registers.
    UNCACHED
}
