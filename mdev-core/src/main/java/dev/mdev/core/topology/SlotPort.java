package dev.mdev.core.topology;

import dev.mdev.core.memslot.UserMemoryRegion;

/// The keeper of the memory slots: the model's own ([dev.mdev.core.memslot.AddressSpaces]), or a
/// kernel's.
public interface SlotPort {
    /// Carries out one request.
    ///
    /// @throws dev.mdev.api.MdevException if it is refused; the slot is then unchanged
    void set(UserMemoryRegion region);

    /// Gathers the log of a logging slot before the slot is deleted. The vCPUs are held, so the log
    /// is complete. With dirty rings this means to harvest all rings, because their entries name
    /// the slot.
    ///
    /// @throws dev.mdev.api.MdevException if that fails; the slot then stays
    void collectDirty(UserMemoryRegion slot);
}
