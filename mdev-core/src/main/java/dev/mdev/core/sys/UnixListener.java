package dev.mdev.core.sys;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import org.jspecify.annotations.Nullable;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;

/// A socket in the file system to which other processes connect.
///
/// One thread accepts; any thread may call [#shutDown], which ends that thread's wait. [#close]
/// comes last.
public final class UnixListener implements AutoCloseable {
    private final Syscalls sys;
    private final NativeFd fd;
    private final Path path;

    private UnixListener(Syscalls sys, NativeFd fd, Path path) {
        this.sys = sys;
        this.fd = fd;
        this.path = path;
    }

    /// Makes the file of a name, to which nobody can connect before [#listen]: the owner sets its
    /// permissions in between. Replaces the file that a process left behind when it was killed.
    ///
    /// @throws MdevException EADDRINUSE if a process listens there, or the file is no socket;
    ///   EINVAL if the path is too long
    public static UnixListener bind(Syscalls sys, Path path) {
        NativeFd socket = UnixAddress.socket(sys, "socket " + path);
        try (Arena scratch = Arena.ofConfined()) {
            UnixAddress at = UnixAddress.of(scratch, path);
            if (sys.libc().bind(socket.number(), at.address(), at.lengthBytes()) < 0) {
                MdevException failure = Syscalls.failure(sys.libc().errno(), "bind path=" + path);
                if (failure.errno() != Errno.EADDRINUSE || !removeAbandoned(sys, path)) {
                    throw failure;
                }
                if (sys.libc().bind(socket.number(), at.address(), at.lengthBytes()) < 0) {
                    throw Syscalls.failure(sys.libc().errno(), "bind path=" + path);
                }
            }
            return new UnixListener(sys, socket, path);
        } catch (RuntimeException | Error e) {
            socket.close();
            throw e;
        }
    }

    private static boolean removeAbandoned(Syscalls sys, Path path) {
        if (Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)
                || Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
            return false;
        }
        try (UnixStream _ = UnixStream.connect(sys, path)) {
            return false;
        } catch (MdevException e) {
            return e.errno() == Errno.ECONNREFUSED && delete(path);
        }
    }

    private static boolean delete(Path path) {
        try {
            return Files.deleteIfExists(path);
        } catch (IOException e) {
            return false;
        }
    }

    /// Lets processes connect.
    ///
    /// @param backlog connections that wait for [#accept]
    public void listen(int backlog) {
        if (sys.libc().listen(fd.number(), backlog) < 0) {
            throw Syscalls.failure(sys.libc().errno(), "listen path=" + path);
        }
    }

    /// Waits for a connection.
    ///
    /// @return the connection; null after [#shutDown], or if it failed before it was taken
    /// @throws MdevException EMFILE if there are too many descriptors; the connection waits
    public @Nullable UnixStream accept() {
        int number = sys.libc().accept4(fd.number(), SocketAbi.SOCK_CLOEXEC);
        if (number >= 0) {
            return new UnixStream(sys, sys.owned(number, "connection of " + path, () -> "accept"));
        }
        int errno = sys.libc().errno();
        if (errno == Errno.EMFILE.code()
                || errno == Errno.ENFILE.code()
                || errno == Errno.ENOMEM.code()
                || errno == Errno.ENOBUFS.code()) {
            throw Syscalls.failure(errno, "accept path=" + path);
        }
        return null;
    }

    /// Ends the wait of [#accept]; nobody can connect any more.
    public void shutDown() {
        if (!fd.isClosed()) {
            var _ = sys.libc().shutdown(fd.number(), SocketAbi.SHUT_RDWR);
        }
    }

    /// Where it is.
    public Path path() {
        return path;
    }

    /// Closes the socket, and deletes its file.
    @Override
    public void close() {
        if (!fd.isClosed()) {
            fd.close();
            var _ = delete(path);
        }
    }
}
