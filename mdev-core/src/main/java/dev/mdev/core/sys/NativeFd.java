package dev.mdev.core.sys;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.util.concurrent.atomic.AtomicInteger;

/// A file descriptor with an owner, closed once.
///
/// The owner must not close it while another thread is inside a call with it: the number may belong
/// to another file by the time the kernel looks.
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

    /// Closes it; does nothing if it is closed. The result of `close(2)` has no meaning for an
    /// owner of devices or anonymous memory: the descriptor is gone in any case.
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
