package dev.mdev.host.parent;

import jakarta.validation.constraints.NotBlank;
import jakarta.validation.constraints.Size;

import org.jspecify.annotations.Nullable;

/// Which driver is to look for its parents again.
///
/// @param driver its name
/// @param parent the only parent that it is to find, such as a PCI address; all if absent
record DriverRequest(
        @NotBlank @Size(max = 32) String driver, @Nullable @Size(max = 64) String parent) {}
