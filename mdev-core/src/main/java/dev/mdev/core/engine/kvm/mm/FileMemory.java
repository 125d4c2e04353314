package dev.mdev.core.engine.kvm.mm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.Syscalls;

import java.nio.file.Path;

/// Memory that is an existing file, such as a BAR of a PCI function as sysfs shows it
/// (`/sys/bus/pci/devices/.../resource0`, or `resource0_wc`).
///
/// A file is handed out once: two owners of one BAR would be a bug.
public final class FileMemory implements MemoryBackend {
    private final Syscalls sys;
    private final Path file;
    private boolean taken;

    public FileMemory(Path file) {
        this(Syscalls.ofThisProcess(), file);
    }

    FileMemory(Syscalls sys, Path file) {
        this.sys = sys;
        this.file = file;
    }

    /// @throws MdevException EBUSY if the file was already handed out; EINVAL if it is smaller than
    ///   `sizeBytes`; otherwise the error of opening or mapping it
    @Override
    public synchronized Backing allocate(String name, long sizeBytes) {
        if (taken) {
            throw new MdevException(
                    Errno.EBUSY, "the file is in use: block=%s file=%s".formatted(name, file));
        }
        long fileBytes = file.toFile().length();
        if (fileBytes < sizeBytes) {
            throw new MdevException(
                    Errno.EINVAL,
                    "file=%s fileBytes=0x%x sizeBytes=0x%x".formatted(file, fileBytes, sizeBytes));
        }
        // The kernel needs O_SYNC for an uncached BAR.
        Backing backing =
                FileMapping.of(
                        sys,
                        sys.open(file.toString(), LinuxAbi.O_RDWR | LinuxAbi.O_SYNC),
                        sizeBytes);
        taken = true;
        return backing;
    }
}
