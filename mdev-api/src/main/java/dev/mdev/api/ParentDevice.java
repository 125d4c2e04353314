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

    /// The mediated devices that are there although this host did not create them since it started:
    /// made by an earlier life of it, or by somebody else beside it. A driver whose devices are
    /// objects of this process has none.
    ///
    /// Asked when the parent arrives and when the operator wants it; not one of those that
    /// [#create] or [#adopt] returned and that are not closed yet. The host shows these devices and
    /// keeps their pages out of everybody's hands; it touches them only through [#adopt].
    default List<ExistingDevice> existing() {
        return List.of();
    }

    /// Takes one of the [#existing] devices over as it is, with the content of its pages. The host
    /// does so for devices it finds in its own records, and for others if the operator says so.
    ///
    /// - Thread, calls and exceptions as at [#create]. After an exception the device is as before.
    ///
    /// @param context tells the share that [#existing] told
    default MdevDevice adopt(MdevContext context) {
        throw new MdevException(
                Errno.EOPNOTSUPP, "the driver adopts no devices: mdev=" + context.uuid());
    }

    /// Gives the physical device back. All its mediated devices were closed before.
    @Override
    default void close() {}
}
