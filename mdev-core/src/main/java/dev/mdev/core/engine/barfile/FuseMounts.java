package dev.mdev.core.engine.barfile;

import dev.mdev.api.MdevException;
import dev.mdev.core.sys.NativeFd;

import java.nio.file.Path;

/// Mounts and unmounts file systems in user space.
sealed interface FuseMounts permits KernelMounts, FusermountMounts {
    /// The file of requests.
    String DEVICE = "/dev/fuse";

    /// What stands in a list of mounts in the place of a disk.
    String SOURCE = "mdev-bars";

    /// The subtype: such a list says `fuse.mdev`.
    String SUBTYPE = "mdev";

    /// Mounts one at a folder.
    ///
    /// @param uid owner of the folder, as is `gid`
    /// @return the file of requests
    /// @throws MdevException EPERM without the right to mount
    NativeFd mount(Path point, int uid, int gid);

    /// Takes a mount away, also one that is in use, or whose process is dead.
    ///
    /// @return whether clients that have files open are cut off, too
    /// @throws MdevException if there is none
    boolean unmount(Path point);
}
