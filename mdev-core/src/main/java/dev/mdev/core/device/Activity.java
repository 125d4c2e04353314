package dev.mdev.core.device;

/// Whether a device exists in its parent.
public enum Activity {
    /// No: it is only defined.
    INACTIVE,
    /// It is being created.
    STARTING,
    /// It exists, and can be assigned.
    ACTIVE,
    /// It is being ended.
    STOPPING,
    /// It is unusable but not gone: its driver does not let go of it. Its pages are held until the
    /// driver does.
    LOST
}
