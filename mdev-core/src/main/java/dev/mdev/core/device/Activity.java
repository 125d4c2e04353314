package dev.mdev.core.device;

/// Whether a device exists in its parent.
public enum Activity {
    /// It does not: it is only defined.
    INACTIVE,
    /// It is being made.
    STARTING,
    /// It exists, and can be assigned.
    ACTIVE,
    /// It is being ended.
    STOPPING,
    /// It cannot be used, and is not gone: its driver does not let go of it. Its pages are held
    /// until the driver does.
    LOST
}
