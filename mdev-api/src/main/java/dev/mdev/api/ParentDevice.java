package dev.mdev.api;

import java.util.List;

/// One physical device that can be split into mediated devices.
///
/// The host calls [#create] and [#close] one at a time. All other methods return the same value at
/// each call, and may be called by any thread.
public interface ParentDevice extends AutoCloseable {
    /// A name that is unique on this host and stable over restarts, such as `gpu0` or a PCI
    /// address; letters, digits and `.:_-`, 1 to 64 characters.
    String name();

    /// One line for people: model and size.
    String description();

    /// The physical pages of this device.
    Aperture aperture();

    /// The parts of the aperture that are handed out to mediated devices: disjoint, inside the
    /// aperture, each with a name of its own.
    List<ResourcePool> pools();

    /// The types of mediated device this parent can make; ids are unique.
    List<MdevType> types();

    /// Makes a mediated device. The host has set aside [MdevContext#share()] for it, scrubbed.
    ///
    /// - Thread: any, one call at a time per parent; no lock of the host is held.
    /// - May call: the aperture. Not [MdevContext#revoke], as there is nothing to revoke yet.
    /// - May throw: [MdevException]; nothing of the device may stay behind, and the host takes the
    ///   share back.
    MdevDevice create(MdevContext context);

    /// Gives the physical device back. All its mediated devices were closed before.
    @Override
    default void close() {}
}
