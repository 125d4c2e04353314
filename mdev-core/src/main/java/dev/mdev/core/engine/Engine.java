package dev.mdev.core.engine;

import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.memslot.AddressSpaces;

/// A way to run guests.
public interface Engine {
    /// `software` or `kvm`.
    String name();

    /// Whether this engine works here, and what is missing if not. Cheap enough for each start;
    /// leaves nothing behind.
    EngineProbe probe();

    /// Makes the engine's part of a virtual machine.
    ///
    /// @param slots the machine's memory slots, still empty; the engine follows their changes
    /// @param memory the memory of guest RAM and apertures
    /// @throws dev.mdev.api.MdevException if the engine does not work here
    GuestEngine createGuest(AddressSpaces slots, HostMemory memory);
}
