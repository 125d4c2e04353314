package dev.mdev.core.hostfile;

import dev.mdev.api.Errno;
import dev.mdev.api.FilePages;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Caching;
import dev.mdev.api.page.Page;
import dev.mdev.core.hostmm.GuardedMemory;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.SelfMemory;
import dev.mdev.core.sys.Syscalls;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/// Pages of a file that show a device's memory, such as a BAR of a PCI function in sysfs. The
/// device may vanish at any moment, so the host copies through [SelfMemory] only; engines map the
/// file for their guests.
public final class DeviceFile implements MemoryBackend.Backing, GuardedMemory {
    private final Syscalls sys;
    private final FilePages pages;
    private final NativeFd fd;
    private final SelfMemory copies;
    private final long hva;
    private final long sizeBytes;

    /// Copies hold the read lock, so that the addresses stay this mapping's. A leaf.
    private final ReentrantReadWriteLock lock = new ReentrantReadWriteLock();

    private boolean released;

    private DeviceFile(
            Syscalls sys, FilePages pages, NativeFd fd, SelfMemory copies, long sizeBytes) {
        this.sys = sys;
        this.pages = pages;
        this.fd = fd;
        this.copies = copies;
        this.sizeBytes = sizeBytes;
        this.hva =
                sys.mmap(
                        new Syscalls.Placement(
                                0,
                                sizeBytes,
                                LinuxAbi.PROT_READ | LinuxAbi.PROT_WRITE,
                                LinuxAbi.MAP_SHARED),
                        fd,
                        pages.offsetBytes());
    }

    /// Opens and maps all parts of a device's memory, or none.
    ///
    /// @throws MdevException EINVAL if a file is no regular file or is too short; otherwise the
    ///   error of opening or mapping it
    public static List<HostMemory.Part> open(Syscalls sys, List<FilePages> parts) {
        List<HostMemory.Part> opened = new ArrayList<>();
        try {
            for (FilePages pages : parts) {
                opened.add(new HostMemory.Part(pages.npages(), open(sys, pages)));
            }
            return opened;
        } catch (RuntimeException | Error e) {
            opened.forEach(part -> part.backing().release());
            throw e;
        }
    }

    static DeviceFile open(Syscalls sys, FilePages pages) {
        requireLongEnough(pages);
        // The kernel needs O_SYNC for an uncached BAR.
        NativeFd fd = sys.open(pages.file().toString(), LinuxAbi.O_RDWR | LinuxAbi.O_SYNC);
        try {
            SelfMemory copies = SelfMemory.open(sys);
            try {
                return new DeviceFile(sys, pages, fd, copies, Page.bytesOf(pages.npages()));
            } catch (RuntimeException | Error e) {
                copies.close();
                throw e;
            }
        } catch (RuntimeException | Error e) {
            fd.close();
            throw e;
        }
    }

    /// A file of another kind could block, or be endless.
    private static void requireLongEnough(FilePages pages) {
        try {
            if (!Files.isRegularFile(pages.file())) {
                throw new MdevException(
                        Files.exists(pages.file()) ? Errno.EINVAL : Errno.ENOENT,
                        "no regular file: file=" + pages.file());
            }
            long fileBytes = Files.size(pages.file());
            if (pages.endBytes() > Page.bytesOf(Page.countFor(fileBytes))) {
                throw new MdevException(
                        Errno.EINVAL,
                        "file=%s fileBytes=0x%x, and the pages end at 0x%x"
                                .formatted(pages.file(), fileBytes, pages.endBytes()));
            }
        } catch (IOException e) {
            throw new MdevException(Errno.EIO, "cannot look at file=" + pages.file(), e);
        }
    }

    @Override
    public MemorySegment segment() {
        throw new MdevException(
                Errno.EOPNOTSUPP, "the memory of a device has no segment: file=" + pages.file());
    }

    @Override
    public GuardedMemory guarded() {
        return this;
    }

    @Override
    public Caching caching() {
        return pages.caching();
    }

    @Override
    public int fd() {
        return fd.number();
    }

    @Override
    public long fileOffsetBytes() {
        return pages.offsetBytes();
    }

    @Override
    public void read(long offsetBytes, MemorySegment destination) {
        lock.readLock().lock();
        try {
            copies.read(addressOf(offsetBytes, destination.byteSize()), destination);
        } finally {
            lock.readLock().unlock();
        }
    }

    @Override
    public void write(long offsetBytes, MemorySegment source) {
        lock.readLock().lock();
        try {
            copies.write(addressOf(offsetBytes, source.byteSize()), source);
        } finally {
            lock.readLock().unlock();
        }
    }

    private long addressOf(long offsetBytes, long lengthBytes) {
        Objects.checkFromIndexSize(offsetBytes, lengthBytes, sizeBytes);
        if (released) {
            throw new MdevException(Errno.EIO, "released: file=" + pages.file());
        }
        return hva + offsetBytes;
    }

    @Override
    public void release() {
        lock.writeLock().lock();
        try {
            if (!released) {
                released = true;
                sys.munmap(hva, sizeBytes);
            }
        } finally {
            lock.writeLock().unlock();
        }
        copies.close();
        fd.close();
    }
}
