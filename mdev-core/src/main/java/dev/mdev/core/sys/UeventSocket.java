package dev.mdev.core.sys;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.sys.LinuxAbi.Pollfd;
import dev.mdev.core.sys.SocketAbi.Iovec;
import dev.mdev.core.sys.SocketAbi.Msghdr;
import dev.mdev.core.sys.SocketAbi.SockaddrNl;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.function.Predicate;

/// The kernel's messages about its devices (`NETLINK_KOBJECT_UEVENT`; Linux
/// `lib/kobject_uevent.c`). The kernel keeps those that nobody has read yet in a buffer of fixed
/// size; what does not fit is lost, and the reader learns that something was.
///
/// One thread calls [#await] and then [#close]; any thread may call [#end].
public final class UeventSocket implements AutoCloseable {
    /// The kernel's own messages; those of udev are another group.
    private static final int KERNEL_GROUP = 1;

    /// More than the kernel's largest message (`UEVENT_BUFFER_SIZE` and a path).
    private static final int BUFFER_BYTES = 16 << 10;

    /// Messages that one call reads at most without a look at the clock.
    private static final int BURST = 1024;

    private final Libc libc;
    private final Arena arena = Arena.ofShared();
    private final NativeFd socket;
    private final EventFd ended;
    private final MemorySegment buffer = arena.allocate(BUFFER_BYTES, Long.BYTES);
    private final MemorySegment message = arena.allocate(Msghdr.SIZE, Long.BYTES);
    private final MemorySegment polled = arena.allocate(2 * Pollfd.SIZE, Integer.BYTES);

    /// Begins to listen.
    ///
    /// @throws MdevException the kernel's error, such as EPERM or EMFILE
    public UeventSocket(Syscalls sys) {
        libc = sys.libc();
        int type = SocketAbi.SOCK_DGRAM | SocketAbi.SOCK_CLOEXEC;
        String name = "socket of uevents";
        socket =
                sys.owned(
                        libc.socket(SocketAbi.AF_NETLINK, type, SocketAbi.NETLINK_KOBJECT_UEVENT),
                        name,
                        () -> name);
        try {
            MemorySegment address = arena.allocate(SockaddrNl.SIZE, Integer.BYTES);
            address.set(ValueLayout.JAVA_SHORT, SockaddrNl.FAMILY, (short) SocketAbi.AF_NETLINK);
            address.set(ValueLayout.JAVA_INT, SockaddrNl.GROUPS, KERNEL_GROUP);
            if (libc.bind(socket.number(), address.address(), SockaddrNl.SIZE) < 0) {
                throw Syscalls.failure(libc.errno(), "bind of " + socket);
            }
            ended = new EventFd(sys, "end of uevents");
        } catch (RuntimeException | Error e) {
            socket.close();
            arena.close();
            throw e;
        }
        MemorySegment part = arena.allocate(Iovec.SIZE, Long.BYTES);
        part.set(ValueLayout.JAVA_LONG, Iovec.BASE, buffer.address());
        part.set(ValueLayout.JAVA_LONG, Iovec.LEN, BUFFER_BYTES);
        message.set(ValueLayout.JAVA_LONG, Msghdr.IOV, part.address());
        message.set(ValueLayout.JAVA_LONG, Msghdr.IOVLEN, 1);
        poll(0, socket);
        poll(1, ended.fd());
    }

    private void poll(int index, NativeFd which) {
        long at = (long) index * Pollfd.SIZE;
        polled.set(ValueLayout.JAVA_INT, at + Pollfd.FD, which.number());
        polled.set(ValueLayout.JAVA_SHORT, at + Pollfd.EVENTS, (short) LinuxAbi.POLLIN);
    }

    /// Waits for a message, for at most a time, and takes all that are there.
    ///
    /// @param wanted is asked with the lines of each message, such as `SUBSYSTEM=block`
    /// @param atMost zero for no limit
    /// @return whether one was wanted, or messages were lost that may have been; false when the
    ///   time is over, and after [#end]
    /// @throws MdevException the kernel's error
    public boolean await(Predicate<List<String>> wanted, Duration atMost) {
        long end = System.nanoTime() + atMost.toNanos();
        while (true) {
            long leftMillis = (end - System.nanoTime() + 999_999) / 1_000_000;
            if (!atMost.isZero() && leftMillis <= 0) {
                return false;
            }
            int timeout = atMost.isZero() ? -1 : (int) Math.min(leftMillis, Integer.MAX_VALUE);
            int ready = libc.poll(polled.address(), 2, timeout);
            if (ready < 0 && libc.errno() != Errno.EINTR.code()) {
                throw Syscalls.failure(libc.errno(), "poll of " + socket);
            }
            if (ready > 0 && ended.take() > 0) {
                return false;
            }
            if (ready > 0 && takeAll(wanted)) {
                return true;
            }
        }
    }

    private boolean takeAll(Predicate<List<String>> wanted) {
        boolean found = false;
        for (int i = 0; i < BURST; i++) {
            long length = libc.recvmsg(socket.number(), message.address(), SocketAbi.MSG_DONTWAIT);
            if (length < 0) {
                int errno = libc.errno();
                if (errno == Errno.EAGAIN.code()) {
                    break;
                }
                if (errno == Errno.ENOBUFS.code()) {
                    found = true;
                } else if (errno != Errno.EINTR.code()) {
                    throw Syscalls.failure(errno, "recvmsg of " + socket);
                }
            } else if (wanted.test(lines(length))) {
                found = true;
            }
        }
        return found;
    }

    private List<String> lines(long length) {
        byte[] bytes = buffer.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE);
        return List.of(new String(bytes, StandardCharsets.UTF_8).split("\0", -1));
    }

    /// Ends the wait of [#await], now or the next one.
    public void end() {
        ended.signal();
    }

    /// Stops listening. No thread may call [#end] afterwards.
    @Override
    public void close() {
        socket.close();
        ended.close();
        arena.close();
    }
}
