package dev.mdev.host.mdev;

import jakarta.validation.constraints.NotBlank;
import jakarta.validation.constraints.Size;

import org.jspecify.annotations.Nullable;

/// A request to define a device.
///
/// @param parent may be absent
/// @param autostart whether it starts with its parent; false if absent
record DefinitionSpec(
        @NotBlank @Size(max = 64) String parent,
        @NotBlank @Size(max = 64) String type,
        @Nullable Boolean autostart) {}
