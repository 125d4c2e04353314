package dev.mdev.host.parent;

import jakarta.validation.constraints.NotBlank;
import jakarta.validation.constraints.Size;

/// Which plan to apply.
///
/// @param plan its id, as `explain` told it
record PlanRequest(@NotBlank @Size(max = 64) String plan) {}
