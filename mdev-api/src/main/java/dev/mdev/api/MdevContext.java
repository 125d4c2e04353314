package dev.mdev.api;

import java.util.List;
import java.util.UUID;

/// The host's interface for one mediated device, from its creation until its [MdevDevice#close]
/// returns.
public interface MdevContext extends Reporter {
    /// The device's identity.
    UUID uuid();

    /// The type of its creation.
    MdevType type();

    /// The operator's settings for this device, in their order; a name may occur more than once.
    /// All have names that the parent takes ([ParentDevice#takesAttribute]). Empty for a device
    /// that is taken over.
    default List<Attribute> attributes() {
        return List.of();
    }

    /// The pages that belong to it, one entry for each fixed demand of the type, in that order.
    /// They are constant except for [MdevDevice#shareMoved]. Shared pages ([MdevType#shared])
    /// belong to no device.
    List<PoolShare> share();

    /// The share of one pool.
    ///
    /// @throws IllegalArgumentException if the type has no fixed demand on that pool
    default PoolShare share(String pool) {
        return share().stream()
                .filter(s -> s.pool().equals(pool))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("pool=" + pool));
    }

    /// The elastic share of one pool.
    ///
    /// @throws IllegalArgumentException if the type has no elastic demand on that pool
    default ElasticMemory elastic(String pool) {
        throw new IllegalArgumentException("no elastic demand: pool=" + pool);
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

    /// Runs a step of the device's own activity, on the calling thread: everything that a thread of
    /// the driver's own does with the device's pages, the guest's memory and interrupts.
    ///
    /// The host keeps steps apart from the callbacks that change the device as a whole:
    /// [MdevDevice#assigned], [MdevDevice#reset], [MdevDevice#dmaUnmapped],
    /// [MdevDevice#shareMoved], [MdevDevice#close], and all from [DeviceState#stop] to
    /// [DeviceState#resume]. None of them runs while a step does, and no step begins before it
    /// ends. So a driver needs no lock of its own to keep its threads out.
    ///
    /// A guest that resets its device waits for the running step. So keep steps short, a slice of
    /// work rather than a job; the host reports a step that exceeds the deadline of a callback as
    /// overdue. Guest memory may be a region of this same device, and then the step waits for the
    /// device's turn. If the device must stand still in that time, the access fails with ECANCELED:
    /// leave the work as if this access had not begun, return, and try again in a later step.
    ///
    /// Hold no lock that a callback takes. Steps of one device may run concurrently with each other
    /// and with all other callbacks.
    ///
    /// @param step the work; this method passes its exceptions on
    /// @return whether it ran; if not, the device must stand still: after [DeviceState#stop] until
    ///   [DeviceState#resume] is called, otherwise during a callback, so try again a little later
    /// @throws MdevException EDEADLK from inside a step
    boolean runStep(Runnable step);

    /// Rings one of the device's own doorbells, as a guest's store does: the host calls
    /// [MdevDevice#rung] afterwards. Any thread may call this; it does not block.
    ///
    /// @param doorbell its position in [MdevDevice#doorbells]
    /// @throws IndexOutOfBoundsException if there is no such doorbell
    void ring(int doorbell);

    /// Tells the operator of a trouble with this device, such as a failure in a step.
    @Override
    void report(ReportLevel level, String text);

    /// The guest's memory.
    GuestMemory guestMemory();

    /// The device's interrupts, as [MdevDevice#irqs] announced them.
    Interrupts interrupts();
}
