package dev.mdev.api;

import java.util.List;
import java.util.UUID;

/// What the host offers one mediated device, from its creation until its [MdevDevice#close]
/// returns.
public interface MdevContext {
    /// The device's identity.
    UUID uuid();

    /// The type it is made as.
    MdevType type();

    /// The pages that belong to it, one entry for each demand of the type, in that order. They stay
    /// the same unless [MdevDevice#shareMoved] says otherwise.
    List<PoolShare> share();

    /// The share of one pool.
    ///
    /// @throws IllegalArgumentException if the type demands nothing of that pool
    default PoolShare share(String pool) {
        return share().stream()
                .filter(s -> s.pool().equals(pool))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("pool=" + pool));
    }

    /// Takes back what was granted for pages `[firstPage, firstPage + npages)` of a region. When it
    /// returns, no access by the guest that began before still uses the old pages, and the next one
    /// asks [MdevDevice#validateMapRequest] again. Pages that are not mapped are no error.
    ///
    /// May be called by any thread, also from inside a callback, `validateMapRequest` included: the
    /// answer that is being made is then re-asked rather than installed if it overlaps.
    ///
    /// @param region the region's index
    /// @param firstPage page within the region, at least 0
    /// @param npages pages, at least 1; what lies beyond the region is ignored
    void revoke(int region, long firstPage, long npages);

    /// The guest's memory.
    GuestMemory guestMemory();

    /// The device's interrupts, as [MdevDevice#irqs] announced them.
    Interrupts interrupts();
}
