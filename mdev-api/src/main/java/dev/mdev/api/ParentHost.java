package dev.mdev.api;

import java.util.Optional;

/// What the host offers a driver that looks for its devices. Valid only during
/// [ParentDriver#probe].
public interface ParentHost {
    /// Memory that plays the part of a physical device's aperture, for a device that exists in
    /// software only. It starts as zeroes and lives until the [ParentDevice] is closed.
    ///
    /// @param name what to call it in messages
    /// @param npages its size, at least 1 page
    /// @throws MdevException ENOMEM if the host has not that much memory
    Aperture allocateAperture(String name, long npages);

    /// A setting that the operator made for this driver, such as `vram-mib`, if it was made.
    Optional<String> setting(String key);
}
