package dev.mdev.api;

import java.util.Map;
import java.util.UUID;

/// A parent device that the kernel splits: its mediated devices live in the kernel, which counts
/// them, and programs outside this host use them.
///
/// The host leaves such devices as they are when it ends, and finds them again by [#existing] when
/// it starts. So it calls [MdevDevice#close] only to end a device, and [#close] while devices
/// exist.
///
/// Any thread may call the methods of this interface, also while a device is being closed. They
/// answer at once.
public interface KernelParent extends ParentDevice {
    /// How many more devices of a type it takes now.
    Room room(MdevType type);

    /// How programs get the mediated devices: all that exist, also foreign ones, and those that are
    /// being closed.
    Map<UUID, KernelNode> nodes();
}
