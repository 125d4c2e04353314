package dev.mdev.api;

import dev.mdev.api.page.PfnRange;

/// A part of the aperture that is handed out in pages, such as VRAM or doorbells.
///
/// @param name unique within the parent: lower-case letters, digits and dashes
/// @param pfns the pages, inside the parent's aperture and in no other pool
public record ResourcePool(String name, PfnRange pfns) {}
