package dev.mdev.core.pci;

import dev.mdev.api.Refusal;

/// How a register access ended.
public sealed interface RegionAccess {
    /// The driver served it.
    ///
    /// @param value the value read; 0 after a write
    record Done(long value) implements RegionAccess {}

    /// It failed.
    record Failed(Refusal refusal) implements RegionAccess {}
}
