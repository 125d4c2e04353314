package dev.mdev.core.pci;

import dev.mdev.api.Refusal;

import java.util.Optional;

/// The device behind a [PciFunction], as the one who has it reaches it: every call fails once the
/// device is no longer the caller's.
///
/// All methods may be called by any thread; none may be called with a lock of the framework held,
/// as most call driver code. What implements it says in [Object#toString] which device it is.
public interface FunctionBackend {
    /// What the driver said of the device.
    PciProfile profile();

    /// Lets the driver reach the guest.
    ///
    /// @throws dev.mdev.api.MdevException ENODEV if the device is no longer the caller's, or has
    ///   ended
    void connect(GuestPort port);

    /// Reads one of the driver's regions.
    ///
    /// @param offsetBytes any value
    /// @param widthBytes 1 to 8
    /// @return EINVAL outside the region, ENODEV if the device is no longer the caller's; else what
    ///   the driver says
    RegionAccess read(int region, long offsetBytes, int widthBytes);

    /// Writes one of the driver's regions; otherwise as [#read].
    RegionAccess write(int region, long offsetBytes, int widthBytes, long value);

    /// Resets the function, [GuestPort#reset] included.
    ///
    /// @return what the driver threw, if it did
    Optional<Refusal> reset();
}
