package dev.mdev.core.pci;

import dev.mdev.api.Refusal;

import java.util.Optional;

/// The device behind a [PciFunction], as its holder reaches it: every call fails after the holder
/// has lost the device.
///
/// Any thread may call all methods, while it holds no lock of the framework, because most of them
/// call driver code. [Object#toString] of an implementation names the device.
public interface FunctionBackend {
    /// The driver's description of the device.
    PciProfile profile();

    /// Connects the driver to the guest.
    ///
    /// @throws dev.mdev.api.MdevException ENODEV if the caller has lost the device, or it has ended
    void connect(GuestPort port);

    /// Reads one of the driver's regions.
    ///
    /// @param offsetBytes any value
    /// @param widthBytes 1 to 8
    /// @return EINVAL outside the region, ENODEV if the caller has lost the device; otherwise the
    ///   driver's answer
    RegionAccess read(int region, long offsetBytes, int widthBytes);

    /// Writes one of the driver's regions; otherwise as [#read].
    RegionAccess write(int region, long offsetBytes, int widthBytes, long value);

    /// Rings one of the device's doorbells, without a wait for the driver.
    ///
    /// @param doorbell its position in the profile
    /// @return ENODEV if the caller has lost the device
    RegionAccess ring(int doorbell);

    /// Resets the function, [GuestPort#reset] included.
    ///
    /// @return the driver's exception, if it threw
    Optional<Refusal> reset();
}
