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

    /// Revokes the grants of pages `[firstPage, firstPage + npages)` of a region. When it returns,
    /// no earlier access of the guest still uses the old pages, and the next one asks
    /// [MdevDevice#validateMapRequest] again. Unmapped pages are allowed.
    ///
    /// Any thread may call this, also inside a callback, including `validateMapRequest`: if the
    /// answer in progress overlaps, the host asks again instead of installing it.
    ///
    /// @param region the region's index
    /// @param firstPage page within the region, at least 0
    /// @param npages pages, at least 1; pages beyond the region are ignored
    void revoke(int region, long firstPage, long npages);

    /// Runs a step of what the device does by itself, on the calling thread: all that a thread of
    /// the driver's own does with the device's pages, the guest's memory and interrupts.
    ///
    /// The host keeps steps apart from the callbacks after which the device is another:
    /// [MdevDevice#reset], [MdevDevice#shareMoved], [MdevDevice#close], and all from
    /// [DeviceState#stop] to [DeviceState#resume]. None of them runs while a step does, and no step
    /// begins until it is over. A driver needs nothing of its own to keep its threads out.
    ///
    /// A guest waits for the step under way when it resets its device. So keep steps short, a slice
    /// of work rather than a job; one that takes longer than a callback may is shown as overdue.
    /// Guest memory may be a region of this very device, for which the step has to wait for its
    /// turn. If the device is to stand still meanwhile, the access ends with ECANCELED: leave the
    /// work as if this access had not begun, return, and try again in a later step.
    ///
    /// Hold no lock that a callback takes. Steps of one device may run beside each other, and
    /// beside all other callbacks.
    ///
    /// @param step the work; what it throws comes out of this method
    /// @return whether it ran; if not, the device is to stand still: after [DeviceState#stop] until
    ///   [DeviceState#resume] is called, else for the time of a callback, so try again a little
    ///   later
    /// @throws MdevException EDEADLK from inside a step
    boolean runStep(Runnable step);

    /// The guest's memory.
    GuestMemory guestMemory();

    /// The device's interrupts, as [MdevDevice#irqs] announced them.
    Interrupts interrupts();
}
