package dev.mdev.host.mdev;

import jakarta.validation.constraints.NotBlank;
import jakarta.validation.constraints.Size;

import org.jspecify.annotations.Nullable;

/// What is to be written down of a device.
///
/// @param parent need not be there
/// @param autostart whether it starts with its parent; not if absent
record DefinitionSpec(
        @NotBlank @Size(max = 64) String parent,
        @NotBlank @Size(max = 64) String type,
        @Nullable Boolean autostart) {}
