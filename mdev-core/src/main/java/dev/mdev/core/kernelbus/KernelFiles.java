package dev.mdev.core.kernelbus;

import dev.mdev.api.MdevException;

import java.util.List;
import java.util.Optional;

/// The files of sysfs and procfs, by absolute paths. A fake of this interface has the kernel's
/// rules without a kernel.
///
/// Any thread may call all methods.
public interface KernelFiles {
    /// The names in a folder, in ascending order; empty if there is no such folder.
    ///
    /// @throws MdevException EACCES or EIO if it cannot be read
    List<String> list(String folder);

    /// Whether there is something at the path; a link counts if its target exists.
    boolean exists(String path);

    /// The target of a symbolic link, as it is written; nothing if there is none.
    Optional<String> link(String path);

    /// The first 64 KiB of a file, without white space at its end.
    ///
    /// @throws MdevException the kernel's error, such as ENOENT
    String read(String path);

    /// Writes a text to a file, in one call.
    ///
    /// @throws MdevException the kernel's error
    void write(String path, String text);

    /// The same in a process of its own, for a write that the kernel may not complete for long, and
    /// that nothing can interrupt: it outlives this process instead of keeping it from ending.
    ///
    /// @throws MdevException EIO with the reason if the write fails
    void writeAside(String path, String text);

    /// Begins to listen to what the kernel tells of its mdev bus.
    ///
    /// @throws MdevException the kernel's error
    BusMessages listen();
}
