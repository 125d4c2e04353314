package dev.mdev.api;

import java.util.List;

/// A kind of mediated device that a parent can make.
///
/// The host computes how many more devices of a type fit, from the free pages of the pools; a
/// driver never counts.
///
/// @param id unique within the parent: letters, digits, dots, dashes, underscores; 1 to 64
///   characters
/// @param name for people
/// @param description one line for people
/// @param deviceApi how a virtual machine sees the device; `vfio-pci` for a PCI function
/// @param demands what one device takes from the pools, at most one demand a pool
/// @param maxInstances the limit of devices of this type, even if more would fit; at least 1
public record MdevType(
        String id,
        String name,
        String description,
        String deviceApi,
        List<Demand> demands,
        int maxInstances) {
    /// The device API of PCI functions.
    public static final String VFIO_PCI = "vfio-pci";

    public MdevType {
        demands = List.copyOf(demands);
        if (maxInstances < 1) {
            throw new IllegalArgumentException("type=" + id + " maxInstances=" + maxInstances);
        }
    }

    /// What one device takes from one pool.
    ///
    /// @param pool the pool's name
    /// @param npages pages, at least 1
    /// @param alignPages each extent starts and ends at a multiple of this many pages from the
    ///   pool's first page; a power of two, divides `npages`
    /// @param contiguous whether the pages must be one extent
    public record Demand(String pool, long npages, long alignPages, boolean contiguous) {
        public Demand {
            if (npages < 1 || Long.bitCount(alignPages) != 1 || npages % alignPages != 0) {
                throw new IllegalArgumentException(
                        "pool=%s npages=%d alignPages=%d".formatted(pool, npages, alignPages));
            }
        }
    }
}
