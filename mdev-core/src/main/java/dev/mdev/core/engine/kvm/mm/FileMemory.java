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
/// It is given out once: two owners of one BAR would be a mistake.
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

    /// @throws MdevException EBUSY if the file was given out already; EINVAL if it is smaller than
    ///   `sizeBytes`; else what opening or mapping it failed with
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
        // O_SYNC is what the kernel asks of those who want a BAR uncached.
        Backing backing =
                FileMapping.of(
                        sys,
                        sys.open(file.toString(), LinuxAbi.O_RDWR | LinuxAbi.O_SYNC),
                        sizeBytes);
        taken = true;
        return backing;
    }
}
