package dev.mdev.core.engine.barfile;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Page;
import dev.mdev.core.sys.FuseAbi;
import dev.mdev.core.sys.FuseAbi.NotifyInvalInodeOut;
import dev.mdev.core.sys.FuseAbi.OutHeader;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/// The file through which the kernel and a file system in user space talk: threads that read
/// requests, and the answers and notices that any thread writes.
///
/// A reader thread answers what it can at once and gives the rest away: it never waits for driver
/// code, for a lock that is held during a system call, or for the kernel. So the kernel gets an
/// answer to each write-back and each read of a granted page, whatever all other threads wait for.
final class FuseConnection {
    /// The most data of one request.
    static final int MAX_DATA_BYTES = 1 << 20;

    /// The kernel reads this much around a page that is touched; it has no use for more (Linux
    /// `VM_READAHEAD_PAGES`).
    private static final int MAX_READAHEAD_BYTES = 128 << 10;

    /// The newest minor version that this code knows.
    private static final int MINOR = 38;

    private static final int WANTED_FLAGS =
            FuseAbi.FUSE_BIG_WRITES | FuseAbi.FUSE_MAX_PAGES | FuseAbi.FUSE_ABORT_ERROR;

    /// Write-backs that the kernel has in progress at a time. Reads are no part of it, without
    /// `FUSE_ASYNC_READ`: so write-backs never queue behind first accesses.
    private static final short MAX_BACKGROUND = 64;

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;

    private final Syscalls sys;
    private final NativeFd fd;
    private final List<Thread> readers = new ArrayList<>();
    private volatile boolean dead;

    /// Answers requests.
    interface Handler {
        /// Answers a request, or sees to it that another thread does. Waits for nothing.
        ///
        /// @param scratch room for a message with [#MAX_DATA_BYTES] of data, of the calling thread
        void handle(FuseRequest request, MemorySegment scratch);
    }

    FuseConnection(Syscalls sys, NativeFd fd) {
        this.sys = sys;
        this.fd = fd;
    }

    /// The descriptor.
    NativeFd fd() {
        return fd;
    }

    /// Starts the readers.
    void start(int count, Handler handler) {
        for (int i = 0; i < count; i++) {
            readers.add(
                    Thread.ofPlatform()
                            .daemon()
                            .name("mdev-bar-reader-" + i)
                            .start(() -> serve(handler)));
        }
    }

    private void serve(Handler handler) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer =
                    arena.allocate(MAX_DATA_BYTES + FuseAbi.FUSE_BUFFER_HEADER_SIZE, Long.BYTES);
            MemorySegment scratch = arena.allocate(MAX_DATA_BYTES + OutHeader.SIZE, Long.BYTES);
            while (!dead) {
                long length = sys.libc().read(fd.number(), buffer.address(), buffer.byteSize());
                if (length < 0) {
                    endUnlessHarmless(sys.libc().errno());
                    continue;
                }
                FuseRequest request = FuseRequest.of(buffer, length);
                if (request != null) {
                    handleSafely(handler, request, scratch);
                }
            }
        }
    }

    /// A request that its sender gave up, or a signal, is no end.
    private void endUnlessHarmless(int errno) {
        if (errno != Errno.ENOENT.code()
                && errno != Errno.EINTR.code()
                && errno != Errno.EAGAIN.code()) {
            dead = true;
        }
    }

    /// An error of ours is the answer to one request, and not the end of the file system.
    private void handleSafely(Handler handler, FuseRequest request, MemorySegment scratch) {
        try {
            handler.handle(request, scratch);
        } catch (RuntimeException | Error e) {
            fail(request.unique(), Errno.EIO);
        }
    }

    /// Whether the kernel has ended the conversation.
    boolean isDead() {
        return dead;
    }

    /// Answers a request with an error.
    void fail(long unique, Errno errno) {
        send(unique, -errno.code());
    }

    /// Answers a request without data.
    void succeed(long unique) {
        send(unique, 0);
    }

    private void send(long unique, int error) {
        try (Arena arena = Arena.ofConfined()) {
            sendMessage(arena.allocate(OutHeader.SIZE, Long.BYTES), unique, error, 0);
        }
    }

    /// Answers a request with data.
    ///
    /// @param message room for the header, and the data
    /// @param lengthBytes of the data
    void answer(long unique, MemorySegment message, long lengthBytes) {
        sendMessage(message, unique, 0, lengthBytes);
    }

    /// The kernel refuses an answer only to a request that it has given up.
    private void sendMessage(MemorySegment message, long unique, int error, long lengthBytes) {
        var _ = trySend(message, unique, error, lengthBytes);
    }

    /// @return 0 or an error number
    private int trySend(MemorySegment message, long unique, int error, long lengthBytes) {
        long length = OutHeader.SIZE + lengthBytes;
        message.set(INT, OutHeader.LEN, Math.toIntExact(length));
        message.set(INT, OutHeader.ERROR, error);
        message.set(LONG, OutHeader.UNIQUE, unique);
        return sys.libc().write(fd.number(), message.address(), length) < 0
                ? sys.libc().errno()
                : 0;
    }

    /// Answers the first request.
    void agree(FuseRequest request, MemorySegment scratch) {
        FuseRequest.Init init = request.init();
        if (init == null || init.major() < FuseAbi.FUSE_KERNEL_VERSION) {
            fail(request.unique(), Errno.EPROTO);
            return;
        }
        MemorySegment out = scratch.asSlice(OutHeader.SIZE, FuseAbi.InitOut.SIZE).fill((byte) 0);
        out.set(INT, FuseAbi.InitOut.MAJOR, FuseAbi.FUSE_KERNEL_VERSION);
        out.set(INT, FuseAbi.InitOut.MINOR, Math.min(init.minor(), MINOR));
        out.set(
                INT,
                FuseAbi.InitOut.MAX_READAHEAD,
                (int) Math.min(init.maxReadaheadBytes(), MAX_READAHEAD_BYTES));
        out.set(INT, FuseAbi.InitOut.FLAGS, init.flags() & WANTED_FLAGS);
        out.set(SHORT, FuseAbi.InitOut.MAX_BACKGROUND, MAX_BACKGROUND);
        out.set(SHORT, FuseAbi.InitOut.CONGESTION_THRESHOLD, MAX_BACKGROUND);
        out.set(INT, FuseAbi.InitOut.MAX_WRITE, MAX_DATA_BYTES);
        out.set(INT, FuseAbi.InitOut.TIME_GRAN, 1);
        out.set(SHORT, FuseAbi.InitOut.MAX_PAGES, (short) Page.countFor(MAX_DATA_BYTES));
        answer(request.unique(), scratch, FuseAbi.InitOut.SIZE);
    }

    /// Drops a part of a file from the kernel's page cache: clients no longer have it mapped, and
    /// what they wrote has arrived. Waits for write-backs and for reads in progress, so it must not
    /// be called by a reader.
    ///
    /// @return 0 or an error number; ENOENT if the kernel does not know the file
    int invalidate(long node, long offsetBytes, long lengthBytes) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment message =
                    arena.allocate(OutHeader.SIZE + NotifyInvalInodeOut.SIZE, Long.BYTES);
            message.set(LONG, OutHeader.SIZE + NotifyInvalInodeOut.INO, node);
            message.set(LONG, OutHeader.SIZE + NotifyInvalInodeOut.OFF, offsetBytes);
            message.set(LONG, OutHeader.SIZE + NotifyInvalInodeOut.LEN, lengthBytes);
            return trySend(message, 0, FuseAbi.FUSE_NOTIFY_INVAL_INODE, NotifyInvalInodeOut.SIZE);
        }
    }

    /// Waits for the end of the readers, once the kernel has ended the conversation.
    ///
    /// @return whether they have ended
    boolean join(Duration limit) throws InterruptedException {
        boolean ended = true;
        for (Thread reader : readers) {
            ended &= reader.join(limit);
        }
        return ended;
    }
}
