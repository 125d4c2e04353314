package dev.mdev.api;

import java.util.List;
import java.util.UUID;

/// The host's interface for one mediated device, from its creation until its [MdevDevice#close]
/// returns.
public interface MdevContext {
    /// The device's identity.
    UUID uuid();

    /// The type of its creation.
    MdevType type();

    /// The pages that belong to it, one entry for each demand of the type, in that order. They are
    /// constant except for [MdevDevice#shareMoved].
    List<PoolShare> share();

    /// The share of one pool.
    ///
    /// @throws IllegalArgumentException if the type has no demand on that pool
    default PoolShare share(String pool) {
        return share().stream()
                .filter(s -> s.pool().equals(pool))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("pool=" + pool));
    }

    /// Revokes the grants of pages
    /// `[firstPage, firstPage + npages)` of a region. When it returns, no earlier access of the guest still uses the old pages, and the next one asks [MdevDevice#validateMapRequest]
    /// again. Unmapped pages are allowed.
    ///
    /// Any thread may call this, also inside a callback, including `validateMapRequest`: if the
    /// answer in progress overlaps, the host asks again instead of installing it.
    ///
    /// @param region the region's index
    /// @param firstPage page within the region, at least 0
    /// @param npages pages, at least 1; pages beyond the region are ignored
    void revoke(int region, long firstPage, long npages);

    /// The guest's memory.
    GuestMemory guestMemory();

    /// The device's interrupts, as [MdevDevice#irqs] announced them.
    Interrupts interrupts();
}
