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
/// @param shared the pools whose pages all its devices may map, read-only, such as firmware, fonts
///   and constants. These pages stay the parent's: no device owns them, the host never scrubs,
///   moves or saves them, and the driver keeps their content constant while there are devices. No
///   type demands pages of such a pool
public record MdevType(
        String id,
        String name,
        String description,
        String deviceApi,
        List<Demand> demands,
        int maxInstances,
        List<String> shared) {
    /// The device API of PCI functions.
    public static final String VFIO_PCI = "vfio-pci";

    public MdevType {
        demands = List.copyOf(demands);
        shared = List.copyOf(shared);
        if (maxInstances < 1) {
            throw new IllegalArgumentException("type=" + id + " maxInstances=" + maxInstances);
        }
    }

    /// A type without shared pages.
    public MdevType(
            String id,
            String name,
            String description,
            String deviceApi,
            List<Demand> demands,
            int maxInstances) {
        this(id, name, description, deviceApi, demands, maxInstances, List.of());
    }

    /// The same type with all pages of these pools as shared ones.
    public MdevType sharing(String... pools) {
        return new MdevType(
                id, name, description, deviceApi, demands, maxInstances, List.of(pools));
    }

    /// A PCI function without pages: registers and interrupts only.
    public static MdevType withoutPages(
            String id, String name, String description, int maxInstances) {
        return new MdevType(id, name, description, VFIO_PCI, List.of(), maxInstances);
    }

    /// What one device takes from one pool.
    ///
    /// A *fixed* demand takes all its pages when the device is created. An *elastic* demand has a
    /// guaranteed minimum: the device has that many pages at any moment, and gets more, up to
    /// `npages`, when it uses them ([MdevContext#elastic]). The minimums on a pool never exceed it;
    /// the maximums may.
    ///
    /// @param pool the pool's name
    /// @param npages pages, at least 1; the maximum of an elastic demand
    /// @param alignPages each extent starts and ends at a multiple of this many pages from the
    ///   pool's first page; a power of two, divides `npages`. The host gives and takes elastic
    ///   pages in *units* of this size, the same for all elastic demands on a pool
    /// @param contiguous whether the pages must be one extent; false for an elastic demand
    /// @param minPages the guaranteed pages: `npages` for a fixed demand; fewer, but at least
    ///   [#MIN_UNITS] units, for an elastic one
    public record Demand(
            String pool, long npages, long alignPages, boolean contiguous, long minPages) {
        /// The fewest units that an elastic demand guarantees: one instruction of a guest may touch
        /// several pages, and needs them all at the same time.
        public static final int MIN_UNITS = 8;

        /// The most units of an elastic demand.
        public static final int MAX_UNITS = 1 << 20;

        public Demand {
            if (npages < 1 || Long.bitCount(alignPages) != 1 || npages % alignPages != 0) {
                throw new IllegalArgumentException(
                        "pool=%s npages=%d alignPages=%d".formatted(pool, npages, alignPages));
            }
            boolean elastic = minPages != npages;
            if (elastic
                    && (contiguous
                            || minPages > npages
                            || minPages % alignPages != 0
                            || minPages / alignPages < MIN_UNITS
                            || npages / alignPages > MAX_UNITS)) {
                throw new IllegalArgumentException(
                        "not an elastic demand: pool=%s minPages=%d npages=%d alignPages=%d contiguous=%s"
                                .formatted(pool, minPages, npages, alignPages, contiguous));
            }
        }

        /// A fixed demand.
        public Demand(String pool, long npages, long alignPages, boolean contiguous) {
            this(pool, npages, alignPages, contiguous, npages);
        }

        /// An elastic demand.
        ///
        /// @param minPages the guaranteed pages: a multiple of `unitPages`, less than `maxPages`
        /// @param maxPages the most pages that the device can have: a multiple of `unitPages`
        /// @param unitPages the pages that the host gives and takes at a time: a power of two
        public static Demand elastic(String pool, long minPages, long maxPages, long unitPages) {
            return new Demand(pool, maxPages, unitPages, false, minPages);
        }

        /// Whether the device gets pages as it uses them.
        public boolean isElastic() {
            return minPages < npages;
        }
    }
}
