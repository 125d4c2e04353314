package dev.mdev.core.topology;

import dev.mdev.core.memslot.UserMemoryRegion;

/// Whoever keeps the memory slots: the model's own ([dev.mdev.core.memslot.AddressSpaces]), or a
/// kernel's.
public interface SlotPort {
    /// Carries out one request.
    ///
    /// @throws dev.mdev.api.MdevException if it is refused; the slot is then as it was
    void set(UserMemoryRegion region);

    /// Gathers what a logging slot has recorded, as it is about to be deleted and its log with it.
    /// The vCPUs are held, so what is gathered is all there will be. With dirty rings this means to
    /// harvest all rings, because their entries name the slot.
    ///
    /// @throws dev.mdev.api.MdevException if that fails; the slot is then not deleted
    void collectDirty(UserMemoryRegion slot);
}
