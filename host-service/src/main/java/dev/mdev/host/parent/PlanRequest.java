package dev.mdev.host.parent;

import jakarta.validation.constraints.NotBlank;
import jakarta.validation.constraints.Size;

/// The plan to apply.
///
/// @param plan its id, from `explain`
record PlanRequest(@NotBlank @Size(max = 64) String plan) {}
