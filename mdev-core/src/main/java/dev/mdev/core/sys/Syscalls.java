package dev.mdev.core.sys;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Supplier;

/// System calls that succeed or throw an [MdevException] that names the values.
///
/// A caller that needs the error as a value (an oracle, a hot path) uses [#libc].
public final class Syscalls {
    private final Libc libc;

    public Syscalls(Libc libc) {
        this.libc = libc;
    }

    /// The system calls of this process.
    public static Syscalls ofThisProcess() {
        return Holder.INSTANCE;
    }

    /// JNA unpacks its library at its first use, so this loads it only on demand.
    private static final class Holder {
        static final Syscalls INSTANCE = new Syscalls(new JnaLibc());
    }

    /// The underlying functions.
    public Libc libc() {
        return libc;
    }

    /// The exception for an error number; the message keeps the number if [Errno] has no name for
    /// it.
    public static MdevException failure(int errno, String message) {
        return Errno.of(errno)
                .map(known -> new MdevException(known, message))
                .orElseGet(() -> new MdevException(Errno.EIO, message + " errno=" + errno));
    }

    /// Opens a file, close-on-exec.
    ///
    /// @param flags `LinuxAbi.O_...`
    public NativeFd open(String path, int flags) {
        try (Arena arena = Arena.ofConfined()) {
            int fd =
                    libc.open(arena.allocateFrom(path).address(), flags | LinuxAbi.O_CLOEXEC, 0600);
            return owned(fd, path, () -> "open path=" + path);
        }
    }

    /// Makes a zeroed file of anonymous memory, close-on-exec.
    public NativeFd memfd(String name, long sizeBytes) {
        try (Arena arena = Arena.ofConfined()) {
            int number = libc.memfdCreate(arena.allocateFrom(name).address(), LinuxAbi.MFD_CLOEXEC);
            NativeFd fd = owned(number, name, () -> "memfd_create name=" + name);
            try {
                if (libc.ftruncate(fd.number(), sizeBytes) < 0) {
                    throw failure(
                            libc.errno(),
                            "ftruncate name=%s sizeBytes=0x%x".formatted(name, sizeBytes));
                }
                return fd;
            } catch (RuntimeException | Error e) {
                fd.close();
                throw e;
            }
        }
    }

    /// Makes an event counter, close-on-exec, that starts at 0.
    public NativeFd eventfd(String name) {
        return owned(
                libc.eventfd(0, LinuxAbi.EFD_CLOEXEC | LinuxAbi.EFD_NONBLOCK),
                name,
                () -> "eventfd name=" + name);
    }

    /// Takes ownership of a descriptor that a call returned.
    ///
    /// @param number as returned; -1 is a failure
    /// @param name of the new descriptor, for messages
    /// @param call for the message if it is a failure
    public NativeFd owned(int number, String name, Supplier<String> call) {
        if (number < 0) {
            throw failure(libc.errno(), call.get());
        }
        return new NativeFd(libc, name, number);
    }

    /// An ioctl.
    ///
    /// @param name its C name, for the message
    /// @return at least 0
    public int ioctl(NativeFd fd, long request, long argument, String name) {
        int result = libc.ioctl(fd.number(), request, argument);
        if (result < 0) {
            throw failure(libc.errno(), "%s fd=%s argument=0x%x".formatted(name, fd, argument));
        }
        return result;
    }

    /// Maps a file.
    ///
    /// @param at address, rights and flags
    /// @return the address
    public long mmap(Placement at, NativeFd fd, long offsetBytes) {
        return mmap(at, fd.number(), offsetBytes);
    }

    /// Maps anonymous memory.
    ///
    /// @param at address, rights and flags; `MAP_ANONYMOUS` is added
    /// @return the address
    public long mmap(Placement at) {
        return mmap(
                new Placement(
                        at.address, at.lengthBytes, at.prot, at.flags | LinuxAbi.MAP_ANONYMOUS),
                -1,
                0);
    }

    private long mmap(Placement at, int fd, long offsetBytes) {
        long address = libc.mmap(at.address, at.lengthBytes, at.prot, at.flags, fd, offsetBytes);
        if (address == LinuxAbi.MAP_FAILED) {
            throw failure(libc.errno(), "mmap %s fd=%d offset=0x%x".formatted(at, fd, offsetBytes));
        }
        return address;
    }

    /// Mounts a file system.
    ///
    /// @param flags `LinuxAbi.MS_...`
    /// @param options its own options
    public void mount(String source, String target, String type, long flags, String options) {
        try (Arena arena = Arena.ofConfined()) {
            if (libc.mount(
                            arena.allocateFrom(source).address(),
                            arena.allocateFrom(target).address(),
                            arena.allocateFrom(type).address(),
                            flags,
                            arena.allocateFrom(options).address())
                    < 0) {
                throw failure(
                        libc.errno(),
                        "mount source=%s target=%s type=%s options=%s"
                                .formatted(source, target, type, options));
            }
        }
    }

    /// Unmounts a file system.
    ///
    /// @param flags `LinuxAbi.MNT_...`
    public void unmount(String target, int flags) {
        try (Arena arena = Arena.ofConfined()) {
            if (libc.umount2(arena.allocateFrom(target).address(), flags) < 0) {
                throw failure(libc.errno(), "umount2 target=%s flags=%d".formatted(target, flags));
            }
        }
    }

    public void munmap(long address, long lengthBytes) {
        if (libc.munmap(address, lengthBytes) < 0) {
            throw failure(
                    libc.errno(),
                    "munmap address=0x%x lengthBytes=0x%x".formatted(address, lengthBytes));
        }
    }

    public void mprotect(long address, long lengthBytes, int prot) {
        if (libc.mprotect(address, lengthBytes, prot) < 0) {
            throw failure(
                    libc.errno(),
                    "mprotect address=0x%x lengthBytes=0x%x prot=%d"
                            .formatted(address, lengthBytes, prot));
        }
    }

    public void madvise(long address, long lengthBytes, int advice) {
        if (libc.madvise(address, lengthBytes, advice) < 0) {
            throw failure(
                    libc.errno(),
                    "madvise address=0x%x lengthBytes=0x%x advice=%d"
                            .formatted(address, lengthBytes, advice));
        }
    }

    /// `fcntl(2)`.
    ///
    /// @param name of the command, for the message
    /// @return at least 0
    public int fcntl(NativeFd fd, int command, long argument, String name) {
        int result = libc.fcntl(fd.number(), command, argument);
        if (result < 0) {
            throw failure(libc.errno(), "%s fd=%s argument=0x%x".formatted(name, fd, argument));
        }
        return result;
    }

    /// What a descriptor of this process refers to, as `/proc/self/fd` names it.
    public String linkOf(NativeFd fd) {
        Path link = Path.of("/proc/self/fd", Integer.toString(fd.number()));
        try {
            return Files.readSymbolicLink(link).toString();
        } catch (IOException e) {
            throw new MdevException(Errno.EBADF, "readlink path=" + link, e);
        }
    }

    /// The place of a mapping.
    ///
    /// @param address 0 to let the kernel choose
    /// @param prot `LinuxAbi.PROT_...`
    /// @param flags `LinuxAbi.MAP_...`
    public record Placement(long address, long lengthBytes, int prot, int flags) {
        @Override
        public String toString() {
            return "address=0x%x lengthBytes=0x%x prot=%d flags=0x%x"
                    .formatted(address, lengthBytes, prot, flags);
        }
    }
}
