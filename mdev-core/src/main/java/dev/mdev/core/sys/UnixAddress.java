package dev.mdev.core.sys;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.sys.SocketAbi.SockaddrUn;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/// The address of a Unix domain socket in the file system (`struct sockaddr_un`).
///
/// @param address native, of the structure
/// @param lengthBytes of the structure
record UnixAddress(long address, int lengthBytes) {
    /// @throws MdevException EINVAL if the path is longer than an address can be: 107 bytes
    static UnixAddress of(Arena arena, Path path) {
        byte[] name = path.toString().getBytes(StandardCharsets.UTF_8);
        if (name.length == 0 || name.length >= SockaddrUn.SIZE - SockaddrUn.PATH) {
            throw new MdevException(
                    Errno.EINVAL,
                    "not the path of a socket, at most %d bytes: path=%s"
                            .formatted(SockaddrUn.SIZE - SockaddrUn.PATH - 1, path));
        }
        MemorySegment at = arena.allocate(SockaddrUn.SIZE, Long.BYTES);
        at.set(ValueLayout.JAVA_SHORT, SockaddrUn.FAMILY, (short) SocketAbi.AF_UNIX);
        MemorySegment.copy(name, 0, at, ValueLayout.JAVA_BYTE, SockaddrUn.PATH, name.length);
        return new UnixAddress(at.address(), SockaddrUn.PATH + name.length + 1);
    }

    /// A new stream socket, close-on-exec.
    static NativeFd socket(Syscalls sys, String name) {
        return sys.owned(
                sys.libc()
                        .socket(
                                SocketAbi.AF_UNIX,
                                SocketAbi.SOCK_STREAM | SocketAbi.SOCK_CLOEXEC,
                                0),
                name,
                () -> "socket " + name);
    }
}
