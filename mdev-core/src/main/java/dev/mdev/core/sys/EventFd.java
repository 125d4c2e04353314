package dev.mdev.core.sys;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// An event counter of the kernel (`eventfd(2)`): one side signals, the other waits for the
/// descriptor to become readable. It carries an interrupt to a VMM, or KVM (`KVM_IRQFD`), without
/// another thread of ours: `eventFd::signal` is an interrupt's sink.
///
/// [#signal] may be called by any thread and does not wait; it must not run during or after the
/// close.
public final class EventFd implements AutoCloseable {
    private static final String LINK = "anon_inode:[eventfd]";

    private static final MemorySegment ONE = one();

    private final Libc libc;
    private final NativeFd fd;

    /// Makes a counter at 0.
    ///
    /// @param name for messages
    /// @throws dev.mdev.api.MdevException EMFILE if there are too many descriptors
    public EventFd(Syscalls sys, String name) {
        this(sys, sys.eventfd(name));
    }

    /// Wraps an existing descriptor.
    ///
    /// @param fd becomes this object's; must not block
    public EventFd(Syscalls sys, NativeFd fd) {
        this.libc = sys.libc();
        this.fd = fd;
    }

    private static MemorySegment one() {
        MemorySegment one = Arena.global().allocate(ValueLayout.JAVA_LONG);
        one.set(ValueLayout.JAVA_LONG, 0, 1);
        return one;
    }

    /// Wraps a descriptor from another process, and makes it one that does not block.
    ///
    /// The other process shares the flag, and can undo it: then its counter can be full, and
    /// [#signal] waits until somebody reads it; [#drain] does.
    ///
    /// @param fd becomes this object's if this succeeds
    /// @throws dev.mdev.api.MdevException EINVAL if it is no event counter
    public static EventFd adopt(Syscalls sys, NativeFd fd) {
        if (!sys.linkOf(fd).equals(LINK)) {
            throw new MdevException(Errno.EINVAL, "not an eventfd: " + fd);
        }
        int flags = sys.fcntl(fd, FileAbi.F_GETFL, 0, "F_GETFL");
        if ((flags & LinuxAbi.O_NONBLOCK) == 0) {
            var _ = sys.fcntl(fd, FileAbi.F_SETFL, flags | LinuxAbi.O_NONBLOCK, "F_SETFL");
        }
        return new EventFd(sys, fd);
    }

    /// The descriptor for the waiting side.
    public NativeFd fd() {
        return fd;
    }

    /// Counts one. If the counter is at its maximum, the reader has yet to see the earlier event,
    /// and sees this one with it.
    public void signal() {
        if (libc.write(fd.number(), ONE.address(), Long.BYTES) < 0
                && libc.errno() != Errno.EAGAIN.code()) {
            throw Syscalls.failure(libc.errno(), "write to " + fd);
        }
    }

    /// Takes the count since the last call.
    ///
    /// @return 0 if there was nothing
    public long take() {
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment count = scratch.allocate(ValueLayout.JAVA_LONG);
            if (libc.read(fd.number(), count.address(), Long.BYTES) < 0) {
                int errno = libc.errno();
                if (errno != Errno.EAGAIN.code()) {
                    throw Syscalls.failure(errno, "read of " + fd);
                }
                return 0;
            }
            return count.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    /// Empties the counter without a wait, whatever another process has done to it: if [#signal]
    /// waits, it continues.
    ///
    /// @return the count since the last call; 0 if there was nothing
    public long drain() {
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment count = scratch.allocate(ValueLayout.JAVA_LONG);
            MemorySegment part = scratch.allocate(SocketAbi.Iovec.SIZE, Long.BYTES);
            part.set(ValueLayout.JAVA_LONG, SocketAbi.Iovec.BASE, count.address());
            part.set(ValueLayout.JAVA_LONG, SocketAbi.Iovec.LEN, Long.BYTES);
            if (libc.preadv2(fd.number(), part.address(), 1, -1, FileAbi.RWF_NOWAIT) < 0) {
                int errno = libc.errno();
                if (errno != Errno.EAGAIN.code()) {
                    throw Syscalls.failure(errno, "preadv2 of " + fd);
                }
                return 0;
            }
            return count.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    @Override
    public void close() {
        fd.close();
    }
}
