package dev.mdev.host.parent;

import jakarta.validation.constraints.NotBlank;
import jakarta.validation.constraints.Size;

/// Which driver is to look for its parents again.
///
/// @param driver its name
record DriverRequest(@NotBlank @Size(max = 32) String driver) {}
