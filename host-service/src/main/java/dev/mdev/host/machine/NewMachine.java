package dev.mdev.host.machine;

import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Pattern;

import org.jspecify.annotations.Nullable;

/// A request for a machine.
///
/// @param name its name, unique on this host
/// @param ramMib RAM in MiB; 0 if absent
/// @param vcpus virtual processors; 1 if absent
record NewMachine(
        @NotNull
                @Pattern(
                        regexp = "(?=.*[A-Za-z0-9])[A-Za-z0-9._-]{1,64}",
                        message =
                                "letters, digits, dots, underscores and dashes, 1 to 64, with a"
                                        + " letter or a digit")
                String name,
        @Nullable @Min(0) @Max(1024 * 1024) Integer ramMib,
        @Nullable @Min(1) @Max(64) Integer vcpus) {}
