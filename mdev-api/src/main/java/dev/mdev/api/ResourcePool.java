package dev.mdev.api;

import dev.mdev.api.page.PfnRange;

/// A part of the aperture that is handed out in pages, such as VRAM or doorbells.
///
/// @param name unique within the parent: lower-case letters, digits and dashes
/// @param pfns the pages, inside the parent's aperture and in no other pool
/// @param holdsContent whether its pages are memory: the host then sets them to zero between two
///   devices, and reads them back. Pages of registers hold no content: the host never touches them,
///   and the driver sees to it that nothing of one device is left for the next
public record ResourcePool(String name, PfnRange pfns, boolean holdsContent) {
    /// A pool of memory.
    public ResourcePool(String name, PfnRange pfns) {
        this(name, pfns, true);
    }
}
