package dev.mdev.host.access;

/// Knows which things of a kind exist. What does not exist, or is not being made, has no owner.
public interface Existing {
    Subject.Kind kind();

    /// Whether it exists. Called with a lock held, so it takes none that a verb holds for long.
    boolean exists(String name);
}
