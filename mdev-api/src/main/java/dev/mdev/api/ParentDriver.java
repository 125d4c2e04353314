package dev.mdev.api;

import java.util.List;

/// A driver for one kind of physical device; the entry point of a driver jar.
///
/// Found by [java.util.ServiceLoader]: a public class with a public constructor without arguments,
/// named in `META-INF/services/dev.mdev.api.ParentDriver`. A jar in the plugin folder needs no
/// module descriptor; a driver on the host's module path is named there as well.
///
/// A driver jar should do all its work in [#probe]: the constructor runs at every listing of
/// drivers.
///
/// The jar's manifest may declare the level of this interface that it was made for, as
/// `Mdev-Api-Level: 1`. The host checks it before it loads a class; a jar without it counts as
/// level 1.
public interface ParentDriver {
    /// The level of the driver interface. It goes up when drivers of the level before do not work
    /// any more.
    int API_LEVEL = 1;

    /// The driver's name: lower-case letters, digits and dashes, 1 to 32 characters. It stays the
    /// same over versions, because definitions of devices that survive a restart refer to it.
    String name();

    /// Finds this driver's physical devices.
    ///
    /// - Thread: called when the host starts, and again when the operator or the driver itself
    ///   ([ParentHost#lookAgain]) asks for it: then it returns only devices that are not on the bus
    ///   ([ParentHost#isPresent]). One call at a time.
    /// - May call: everything of `host`.
    /// - May throw: [MdevException]; the driver then has no devices, and the operator gets the
    ///   reason.
    ///
    /// @return the devices, possibly none; the host owns and closes them
    List<ParentDevice> probe(ParentHost host);

    /// Ends what the driver itself runs, such as a thread that looks for changes. The host calls
    /// this when it ends, after all parents are closed.
    default void close() {}
}
