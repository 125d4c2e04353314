package dev.mdev.core.pci;

import dev.mdev.api.GuestMemory;
import dev.mdev.api.Interrupts;

/// What an assigned device is plugged into: the way from the driver to the guest.
public interface GuestPort {
    /// The guest's memory.
    GuestMemory memory();

    /// Where the device's interrupts go.
    Interrupts interrupts();

    /// The device is being reset: puts what the guest set up of it back to its first state. Called
    /// with no lock held, before the driver is.
    void reset();

    /// The host has reset the device: plays the firmware that the guest would have run at a start,
    /// if the device was put in with firmware. Called with no lock held.
    void runFirmware();

    /// Somebody wants to remove the device: asks the guest to let it go.
    void requestRelease();
}
