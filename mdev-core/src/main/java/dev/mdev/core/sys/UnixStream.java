package dev.mdev.core.sys;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.sys.LinuxAbi.Pollfd;
import dev.mdev.core.sys.SocketAbi.Cmsghdr;
import dev.mdev.core.sys.SocketAbi.Iovec;
import dev.mdev.core.sys.SocketAbi.Msghdr;
import dev.mdev.core.sys.SocketAbi.Ucred;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/// One end of a stream between two processes that also carries file descriptors (`unix(7)`).
///
/// One thread receives. Any thread may send, one at a time, and any thread may call [#shutDown],
/// which ends the waits of the others. [#close] comes last, when no other call runs. Received data
/// and sent data are at native addresses; nothing is allocated for a message without descriptors.
public final class UnixStream implements AutoCloseable {
    /// The maximum number of descriptors in one message, received or sent; further ones are
    /// dropped. The kernel's own limit is 253.
    public static final int MAX_FDS = 64;

    /// [#receive] found nothing, and did not wait.
    public static final long NOTHING = -1;

    /// No descriptors.
    public static final int[] NO_FDS = {};

    private static final int PARTS = 2;
    private static final long NANOS_PER_MILLI = 1_000_000;
    private static final int CONTROL_BYTES =
            (Cmsghdr.SIZE + MAX_FDS * Integer.BYTES + Long.BYTES - 1) & -Long.BYTES;

    private final Libc libc;
    private final NativeFd fd;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment in = arena.allocate(Msghdr.SIZE, Long.BYTES);
    private final MemorySegment inPart = arena.allocate(Iovec.SIZE, Long.BYTES);
    private final MemorySegment inControl = arena.allocate(CONTROL_BYTES, Long.BYTES);
    private final MemorySegment out = arena.allocate(Msghdr.SIZE, Long.BYTES);
    private final MemorySegment outParts = arena.allocate(PARTS * Iovec.SIZE, Long.BYTES);
    private final MemorySegment outControl = arena.allocate(CONTROL_BYTES, Long.BYTES);
    private final MemorySegment polled = arena.allocate(2 * Pollfd.SIZE, Integer.BYTES);
    private List<NativeFd> received = new ArrayList<>();
    private boolean droppedFds;

    /// @param fd a connected socket; becomes this object's
    UnixStream(Syscalls sys, NativeFd fd) {
        this.libc = sys.libc();
        this.fd = fd;
        in.set(ValueLayout.JAVA_LONG, Msghdr.IOV, inPart.address());
        in.set(ValueLayout.JAVA_LONG, Msghdr.IOVLEN, 1);
        out.set(ValueLayout.JAVA_LONG, Msghdr.IOV, outParts.address());
    }

    /// Connects to a listening socket.
    ///
    /// @throws MdevException ECONNREFUSED if nobody listens
    public static UnixStream connect(Syscalls sys, Path path) {
        NativeFd socket = UnixAddress.socket(sys, "connection to " + path);
        try (Arena scratch = Arena.ofConfined()) {
            UnixAddress at = UnixAddress.of(scratch, path);
            if (sys.libc().connect(socket.number(), at.address(), at.lengthBytes()) < 0) {
                throw Syscalls.failure(sys.libc().errno(), "connect path=" + path);
            }
            return new UnixStream(sys, socket);
        } catch (RuntimeException | Error e) {
            socket.close();
            throw e;
        }
    }

    /// The process at the other end, as it was when it connected.
    public record Peer(int pid, int uid, int gid) {}

    /// Who connected (`SO_PEERCRED`).
    public Peer peer() {
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment cred = scratch.allocate(Ucred.SIZE, Integer.BYTES);
            MemorySegment length = scratch.allocate(ValueLayout.JAVA_INT);
            length.set(ValueLayout.JAVA_INT, 0, Ucred.SIZE);
            if (libc.getsockopt(
                            fd.number(),
                            SocketAbi.SOL_SOCKET,
                            SocketAbi.SO_PEERCRED,
                            cred.address(),
                            length.address())
                    < 0) {
                throw Syscalls.failure(libc.errno(), "SO_PEERCRED fd=" + fd);
            }
            return new Peer(
                    cred.get(ValueLayout.JAVA_INT, Ucred.PID),
                    cred.get(ValueLayout.JAVA_INT, Ucred.UID),
                    cred.get(ValueLayout.JAVA_INT, Ucred.GID));
        }
    }

    /// Limits how long each system call of [#send] waits for a peer that reads nothing.
    ///
    /// @param limit at least one microsecond
    public void setSendTimeout(Duration limit) {
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment time = scratch.allocate(2 * Long.BYTES, Long.BYTES);
            time.set(ValueLayout.JAVA_LONG, 0, limit.toSeconds());
            time.set(ValueLayout.JAVA_LONG, Long.BYTES, limit.toNanosPart() / 1_000L);
            if (libc.setsockopt(
                            fd.number(),
                            SocketAbi.SOL_SOCKET,
                            SocketAbi.SO_SNDTIMEO,
                            time.address(),
                            2 * Long.BYTES)
                    < 0) {
                throw Syscalls.failure(libc.errno(), "SO_SNDTIMEO fd=" + fd);
            }
        }
    }

    /// Receives bytes, and keeps the descriptors that came with them for [#takeFds].
    ///
    /// @param waits whether to wait for the first byte; otherwise [#NOTHING] is possible
    /// @return bytes received, at least 1; 0 at the end of the stream; or [#NOTHING]
    public long receive(long address, long lengthBytes, boolean waits) {
        inPart.set(ValueLayout.JAVA_LONG, Iovec.BASE, address);
        inPart.set(ValueLayout.JAVA_LONG, Iovec.LEN, lengthBytes);
        in.set(ValueLayout.JAVA_LONG, Msghdr.CONTROL, inControl.address());
        in.set(ValueLayout.JAVA_LONG, Msghdr.CONTROLLEN, CONTROL_BYTES);
        int flags = SocketAbi.MSG_CMSG_CLOEXEC | (waits ? 0 : SocketAbi.MSG_DONTWAIT);
        while (true) {
            long count = libc.recvmsg(fd.number(), in.address(), flags);
            if (count >= 0) {
                keepFds();
                return count;
            }
            int errno = libc.errno();
            if (errno == Errno.EAGAIN.code()) {
                return NOTHING;
            }
            if (errno == Errno.ECONNRESET.code()) {
                return 0;
            }
            if (errno != Errno.EINTR.code()) {
                throw Syscalls.failure(errno, "recvmsg fd=" + fd);
            }
        }
    }

    private void keepFds() {
        long controlBytes = in.get(ValueLayout.JAVA_LONG, Msghdr.CONTROLLEN);
        droppedFds |= (in.get(ValueLayout.JAVA_INT, Msghdr.FLAGS) & SocketAbi.MSG_CTRUNC) != 0;
        long at = 0;
        while (at + Cmsghdr.SIZE <= controlBytes) {
            long length = inControl.get(ValueLayout.JAVA_LONG, at + Cmsghdr.LEN);
            if (length < Cmsghdr.SIZE || at + length > controlBytes) {
                return;
            }
            if (inControl.get(ValueLayout.JAVA_INT, at + Cmsghdr.LEVEL) == SocketAbi.SOL_SOCKET
                    && inControl.get(ValueLayout.JAVA_INT, at + Cmsghdr.TYPE)
                            == SocketAbi.SCM_RIGHTS) {
                for (long i = at + Cmsghdr.SIZE; i < at + length; i += Integer.BYTES) {
                    int number = inControl.get(ValueLayout.JAVA_INT, i);
                    received.add(new NativeFd(libc, "received", number));
                }
            }
            at += (length + Long.BYTES - 1) & -Long.BYTES;
        }
    }

    /// Whether descriptors are there to be taken.
    public boolean hasFds() {
        return !received.isEmpty();
    }

    /// Whether more descriptors came than this process could take, ever.
    public boolean droppedFds() {
        return droppedFds;
    }

    /// The descriptors that came with the bytes received since the last call; now the caller's.
    public List<NativeFd> takeFds() {
        if (received.isEmpty()) {
            return List.of();
        }
        List<NativeFd> taken = received;
        received = new ArrayList<>();
        return taken;
    }

    /// Sends two pieces of memory as one message, in one call.
    ///
    /// @param secondBytes may be 0
    /// @param fds duplicated into the message, at most [#MAX_FDS]
    /// @throws MdevException EPIPE if the peer is gone, EAGAIN if it read too little in the allowed
    ///   time; the stream is of no use then
    public void send(
            long first, long firstBytes, long second, long secondBytes, List<NativeFd> fds) {
        int[] numbers = NO_FDS;
        if (!fds.isEmpty()) {
            numbers = fds.stream().mapToInt(NativeFd::number).toArray();
        }
        send(first, firstBytes, second, secondBytes, numbers);
    }

    /// The same, with descriptors by their numbers, which stay open meanwhile.
    public void send(long first, long firstBytes, long second, long secondBytes, int[] fds) {
        part(0, first, firstBytes);
        part(1, second, secondBytes);
        out.set(ValueLayout.JAVA_LONG, Msghdr.IOVLEN, secondBytes == 0 ? 1 : PARTS);
        control(fds);
        long total = firstBytes + secondBytes;
        long sent = sendmsg();
        while (sent < total) {
            // The descriptors went with the first byte.
            control(NO_FDS);
            long firstRest = Math.max(0, firstBytes - sent);
            long secondSent = Math.max(0, sent - firstBytes);
            part(0, first + (firstBytes - firstRest), firstRest);
            part(1, second + secondSent, secondBytes - secondSent);
            sent += sendmsg();
        }
    }

    /// Sends memory as far as the peer makes room for it in time.
    ///
    /// @param endNanos when to give up ([System#nanoTime])
    /// @return bytes sent. If they are a part only, the stream is of no use
    /// @throws MdevException EPIPE if the peer is gone
    public long sendInTime(long address, long lengthBytes, long endNanos) {
        control(NO_FDS);
        out.set(ValueLayout.JAVA_LONG, Msghdr.IOVLEN, 1);
        long sent = 0;
        while (sent < lengthBytes) {
            part(0, address + sent, lengthBytes - sent);
            int flags = SocketAbi.MSG_NOSIGNAL | SocketAbi.MSG_DONTWAIT;
            long count = libc.sendmsg(fd.number(), out.address(), flags);
            if (count >= 0) {
                sent += count;
                continue;
            }
            int errno = libc.errno();
            if (errno != Errno.EAGAIN.code() && errno != Errno.EINTR.code()) {
                throw Syscalls.failure(errno, "sendmsg fd=" + fd);
            }
            if (!awaitRoom(endNanos)) {
                return sent;
            }
        }
        return sent;
    }

    /// @return false if the time is over
    private boolean awaitRoom(long endNanos) {
        long nanos = endNanos - System.nanoTime();
        if (nanos <= 0) {
            return false;
        }
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment one = scratch.allocate(Pollfd.SIZE, Integer.BYTES);
            one.set(ValueLayout.JAVA_INT, Pollfd.FD, fd.number());
            one.set(ValueLayout.JAVA_SHORT, Pollfd.EVENTS, (short) LinuxAbi.POLLOUT);
            // What a poll finds, the next attempt finds again.
            var _ = libc.poll(one.address(), 1, (int) (nanos / NANOS_PER_MILLI) + 1);
        }
        return true;
    }

    private void part(int index, long address, long lengthBytes) {
        long at = (long) index * Iovec.SIZE;
        outParts.set(ValueLayout.JAVA_LONG, at + Iovec.BASE, address);
        outParts.set(ValueLayout.JAVA_LONG, at + Iovec.LEN, lengthBytes);
    }

    private void control(int[] fds) {
        if (fds.length == 0) {
            out.set(ValueLayout.JAVA_LONG, Msghdr.CONTROL, 0);
            out.set(ValueLayout.JAVA_LONG, Msghdr.CONTROLLEN, 0);
            return;
        }
        if (fds.length > MAX_FDS) {
            throw new MdevException(Errno.EINVAL, "fds=" + fds.length);
        }
        long length = Cmsghdr.SIZE + (long) fds.length * Integer.BYTES;
        outControl.set(ValueLayout.JAVA_LONG, Cmsghdr.LEN, length);
        outControl.set(ValueLayout.JAVA_INT, Cmsghdr.LEVEL, SocketAbi.SOL_SOCKET);
        outControl.set(ValueLayout.JAVA_INT, Cmsghdr.TYPE, SocketAbi.SCM_RIGHTS);
        for (int i = 0; i < fds.length; i++) {
            outControl.set(ValueLayout.JAVA_INT, Cmsghdr.SIZE + (long) i * Integer.BYTES, fds[i]);
        }
        out.set(ValueLayout.JAVA_LONG, Msghdr.CONTROL, outControl.address());
        out.set(ValueLayout.JAVA_LONG, Msghdr.CONTROLLEN, (length + Long.BYTES - 1) & -Long.BYTES);
    }

    private long sendmsg() {
        while (true) {
            long sent = libc.sendmsg(fd.number(), out.address(), SocketAbi.MSG_NOSIGNAL);
            if (sent >= 0) {
                return sent;
            }
            int errno = libc.errno();
            if (errno == Errno.ECONNRESET.code()) {
                // The peer left without reading all, while this thread waited for room.
                errno = Errno.EPIPE.code();
            }
            if (errno != Errno.EINTR.code()) {
                throw Syscalls.failure(errno, "sendmsg fd=" + fd);
            }
        }
    }

    /// Waits until there is something to receive, or the other descriptor is readable. For the
    /// receiving thread.
    ///
    /// @return whether the other one is readable
    public boolean await(NativeFd other) {
        poll(0, fd);
        poll(1, other);
        int ready = libc.poll(polled.address(), 2, -1);
        if (ready < 0 && libc.errno() != Errno.EINTR.code()) {
            throw Syscalls.failure(libc.errno(), "poll fd=" + fd);
        }
        return ready > 0 && result(1) != 0;
    }

    /// Whether the peer has closed its end. What it sent before can still be received.
    public boolean isHungUp() {
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment one = scratch.allocate(Pollfd.SIZE, Integer.BYTES);
            one.set(ValueLayout.JAVA_INT, Pollfd.FD, fd.number());
            int ready = libc.poll(one.address(), 1, 0);
            return ready > 0 && one.get(ValueLayout.JAVA_SHORT, Pollfd.REVENTS) != 0;
        }
    }

    private void poll(int index, NativeFd which) {
        long at = (long) index * Pollfd.SIZE;
        polled.set(ValueLayout.JAVA_INT, at + Pollfd.FD, which.number());
        polled.set(ValueLayout.JAVA_SHORT, at + Pollfd.EVENTS, (short) LinuxAbi.POLLIN);
    }

    private int result(int index) {
        return polled.get(ValueLayout.JAVA_SHORT, (long) index * Pollfd.SIZE + Pollfd.REVENTS);
    }

    /// Ends the stream in both directions, and every wait of a thread for it.
    public void shutDown() {
        if (!fd.isClosed()) {
            var _ = libc.shutdown(fd.number(), SocketAbi.SHUT_RDWR);
        }
    }

    @Override
    public void close() {
        received.forEach(NativeFd::close);
        received.clear();
        if (!fd.isClosed()) {
            fd.close();
            arena.close();
        }
    }

    @Override
    public String toString() {
        return "stream " + fd;
    }
}
