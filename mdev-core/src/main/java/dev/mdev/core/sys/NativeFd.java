package dev.mdev.core.sys;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.util.concurrent.atomic.AtomicInteger;

/// A file descriptor that somebody owns, closed once.
///
/// Closing while another thread is inside a call with it is the owner's mistake to avoid: the
/// number may be somebody else's by the time the kernel looks.
public final class NativeFd implements AutoCloseable {
    private static final int CLOSED = -1;

    private final Libc libc;
    private final String name;
    private final AtomicInteger fd;

    NativeFd(Libc libc, String name, int fd) {
        this.libc = libc;
        this.name = name;
        this.fd = new AtomicInteger(fd);
    }

    /// The number.
    ///
    /// @throws MdevException EBADF if it is closed
    public int number() {
        int number = fd.get();
        if (number == CLOSED) {
            throw new MdevException(Errno.EBADF, "closed: fd=" + name);
        }
        return number;
    }

    public boolean isClosed() {
        return fd.get() == CLOSED;
    }

    /// Closes it; does nothing if it is closed. What `close(2)` returns says nothing that an owner
    /// of devices or anonymous memory could act upon: the descriptor is gone in any case.
    @Override
    public void close() {
        int number = fd.getAndSet(CLOSED);
        if (number != CLOSED) {
            var _ = libc.close(number);
        }
    }

    @Override
    public String toString() {
        return name + "=" + fd.get();
    }
}
