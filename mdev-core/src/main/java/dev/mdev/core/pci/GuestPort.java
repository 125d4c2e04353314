package dev.mdev.core.pci;

import dev.mdev.api.GuestMemory;
import dev.mdev.api.Interrupts;

/// The connection of an assigned device: the way from the driver to the guest.
public interface GuestPort {
    /// The guest's memory.
    GuestMemory memory();

    /// The target of the device's interrupts.
    Interrupts interrupts();

    /// The device is being reset: returns the guest's settings of it to their initial values.
    /// Called without a lock, before the driver's reset.
    void reset();

    /// The host has reset the device: plays the firmware that the guest would have run at a start,
    /// if the device was attached with firmware. Called without a lock.
    void runFirmware();

    /// A removal of the device is pending: asks the guest to release it.
    void requestRelease();
}
