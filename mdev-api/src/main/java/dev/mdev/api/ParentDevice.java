package dev.mdev.api;

import java.util.List;

/// One physical device that can be split into mediated devices.
///
/// The host calls [#create], [#adopt], [#existing] and [#close] one at a time. Any thread may call
/// all other methods; unless they say otherwise, they return the same value at each call.
public interface ParentDevice extends AutoCloseable {
    /// A name that is unique on this host and stable over restarts, such as `gpu0` or a PCI
    /// address; letters, digits and `.:_-`, 1 to 64 characters.
    String name();

    /// One line for people: model and size.
    String description();

    /// The physical pages of this device, none of which is another parent's.
    Aperture aperture();

    /// The parts of the aperture that are handed out to mediated devices: disjoint, inside the
    /// aperture, each with a name of its own.
    List<ResourcePool> pools();

    /// The types of mediated devices that this parent can create; ids are unique.
    List<MdevType> types();

    /// Creates a mediated device. The host has reserved and scrubbed [MdevContext#share()] for it.
    ///
    /// - Thread: any, one call at a time per parent; no lock of the host is held.
    /// - May call: the aperture. Not [MdevContext#revoke], because there is nothing to revoke yet.
    /// - May throw: [MdevException]; nothing of the device may remain, and the host takes the share
    ///   back. Three errors have a meaning for the caller: EUSERS, the device has no room for it;
    ///   EEXIST, it has the uuid already; EINVAL, it refuses an attribute.
    MdevDevice create(MdevContext context);

    /// The mediated devices that exist although this host did not create them since its start: from
    /// an earlier process, or from another program. A driver whose devices are objects of this
    /// process has none.
    ///
    /// Called when the parent arrives, and when the host looks again ([ParentHost#lookAgain]). May
    /// throw: [MdevException]; ENODEV says that the physical device itself is gone, and the parent
    /// leaves.
    ///
    /// Excludes devices that [#create] or [#adopt] returned and that are not closed yet. The host
    /// shows these devices and keeps their pages out of use; it touches them only through [#adopt].
    default List<ExistingDevice> existing() {
        return List.of();
    }

    /// Takes over one of the [#existing] devices as it is, with the content of its pages. The host
    /// does this for devices in its own records, and for others on the operator's request.
    ///
    /// - Thread, calls and exceptions as at [#create]. After an exception the device is unchanged.
    ///
    /// @param context has the share that [#existing] reported
    default MdevDevice adopt(MdevContext context) {
        throw new MdevException(
                Errno.EOPNOTSUPP, "the driver adopts no devices: mdev=" + context.uuid());
    }

    /// Whether devices take a setting of this name: see [MdevContext#attributes]. The host refuses
    /// all others.
    default boolean takesAttribute(String name) {
        return false;
    }

    /// Releases the physical device. All its mediated devices are already closed.
    @Override
    default void close() {}
}
