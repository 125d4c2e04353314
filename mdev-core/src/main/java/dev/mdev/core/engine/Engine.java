package dev.mdev.core.engine;

import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SmmDesign;

import java.util.Optional;

/// A way to run guests.
public interface Engine {
    /// `software` or `kvm`.
    String name();

    /// Whether this engine works here, and what is missing if not. Cheap enough for each start;
    /// leaves nothing behind.
    EngineProbe probe();

    /// Bits of a guest-physical address, as the guest's CPUID tells them: no slot reaches beyond.
    ///
    /// @throws dev.mdev.api.MdevException if the engine does not work here
    int physicalAddressBits();

    /// Why this engine has no machines with such a system management mode here; empty if it has.
    Optional<String> lacksSmm(SmmDesign design);

    /// Makes the engine's part of a virtual machine.
    ///
    /// @param slots the machine's memory slots, still empty; the engine follows their changes
    /// @param memory the memory of guest RAM and apertures
    /// @throws dev.mdev.api.MdevException if the engine does not work here
    GuestEngine createGuest(AddressSpaces slots, HostMemory memory);
}
