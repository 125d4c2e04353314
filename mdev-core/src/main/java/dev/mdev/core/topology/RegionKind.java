package dev.mdev.core.topology;

import dev.mdev.core.addr.HvaRange;

/// The kind of a region. Only *terminating* kinds end up in a piece of a [FlatView]; the other
/// kinds structure the tree.
public sealed interface RegionKind {
    /// Whether a region of this kind answers accesses itself.
    default boolean isTerminating() {
        return switch (this) {
            case Container _, Alias _ -> false;
            case Ram _, Smram _, Rom _, RomDevice _, Mmio _ -> true;
        };
    }

    /// Room for other regions. Between its subregions, the regions below the container are visible.
    record Container() implements RegionKind {}

    /// Memory that a guest reads and, unless the region or an alias on the way is read-only,
    /// writes.
    ///
    /// @param host the memory
    record Ram(HvaRange host) implements RegionKind {}

    /// Memory that processors in system management mode read and write, and others do not see. Only
    /// for slots that can be hidden ([dev.mdev.core.memslot.SlotFlags#SMRAM]).
    ///
    /// @param host the memory
    record Smram(HvaRange host) implements RegionKind {}

    /// Memory that a guest reads; a write traps.
    ///
    /// @param host the memory
    record Rom(HvaRange host) implements RegionKind {}

    /// A device such as flash: in ROM mode it reads as memory and traps writes, in command mode it
    /// traps every access.
    ///
    /// @param host the memory that is read in ROM mode
    record RomDevice(HvaRange host) implements RegionKind {}

    /// A device: every access traps.
    record Mmio() implements RegionKind {}

    /// A window on a part of another region, wherever that region is placed, or unplaced. The
    /// part's first byte is an attribute of the region and may change.
    ///
    /// @param target the region that is shown
    record Alias(MemoryRegion target) implements RegionKind {}
}
