package dev.mdev.vfiouser;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.UnixStream;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;

/// Messages on a stream. One thread receives them, and builds replies in [#reply]; any thread may
/// send a whole message of its own.
///
/// Every message is sent by one call, because clients expect its header in one piece. Memory is
/// allocated once; a message costs none.
final class Channel implements AutoCloseable {
    private static final long NO_ERROR = 0;

    private final UnixStream stream;
    private final long spinNanos;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment in = arena.allocate(Wire.MAX_MESSAGE_BYTES, Long.BYTES);
    private final MemorySegment out = arena.allocate(Wire.MAX_MESSAGE_BYTES, Long.BYTES);

    /// For errors, which other threads may send while the reply is being built.
    @GuardedBy("sending")
    private final MemorySegment errorHeader = arena.allocate(Wire.HEADER_BYTES, Long.BYTES);

    @GuardedBy("sending")
    private boolean closed;

    private final Message message = new Message(in);
    private final ReentrantLock sending = new ReentrantLock();

    /// @param stream becomes this object's
    /// @param spinNanos how long to look for the next message before sleeping
    Channel(UnixStream stream, long spinNanos) {
        this.stream = stream;
        this.spinNanos = spinNanos;
    }

    UnixStream stream() {
        return stream;
    }

    /// The message that [#receive] got.
    Message message() {
        return message;
    }

    /// The memory of the reply; its body begins after the header.
    MemorySegment reply() {
        return out;
    }

    /// Waits for the next message.
    ///
    /// @param event also ends the wait, if it is not null
    /// @return what came
    Received receive(@Nullable NativeFd event) {
        long start = in.address();
        long done = firstBytes(start, event);
        if (done == UnixStream.NOTHING) {
            return Received.EVENT;
        }
        if (done == 0) {
            return Received.END;
        }
        // A message's descriptors come with its first byte (unix(7)).
        List<NativeFd> fds = stream.takeFds();
        boolean whole = fill(start, done, Wire.HEADER_BYTES);
        if (!message.begin(fds) || !whole) {
            return Received.END;
        }
        return fill(start + Wire.HEADER_BYTES, 0, message.bodyBytes())
                ? Received.MESSAGE
                : Received.END;
    }

    /// What [#receive] got.
    enum Received {
        MESSAGE,
        /// The descriptor is readable.
        EVENT,
        /// The client is gone, or what it sent is no message.
        END
    }

    private long firstBytes(long address, @Nullable NativeFd event) {
        long begin = System.nanoTime();
        do {
            long count = stream.receive(address, Wire.HEADER_BYTES, false);
            if (count != UnixStream.NOTHING) {
                return count;
            }
            Thread.onSpinWait();
        } while (System.nanoTime() - begin < spinNanos);
        if (event == null) {
            return stream.receive(address, Wire.HEADER_BYTES, true);
        }
        while (!stream.await(event)) {
            long count = stream.receive(address, Wire.HEADER_BYTES, false);
            if (count != UnixStream.NOTHING) {
                return count;
            }
        }
        return UnixStream.NOTHING;
    }

    /// Receives the rest of some bytes. Descriptors that come in between belong to no message, and
    /// are closed at once: a client that sends a message byte by byte could pass thousands.
    private boolean fill(long address, long doneBytes, long lengthBytes) {
        long done = doneBytes;
        while (done < lengthBytes) {
            long count = stream.receive(address + done, lengthBytes - done, true);
            if (stream.hasFds()) {
                stream.takeFds().forEach(NativeFd::close);
            }
            if (count <= 0) {
                return false;
            }
            done += count;
        }
        return true;
    }

    /// Sends the reply that was built.
    ///
    /// @param bodyBytes of the body in [#reply]
    /// @throws dev.mdev.api.MdevException if the stream fails
    void sendReply(int id, int command, long bodyBytes, int[] fds) {
        header(out, id, command, Wire.TYPE_REPLY, NO_ERROR, bodyBytes);
        sending.lock();
        try {
            stream.send(out.address(), Wire.HEADER_BYTES + bodyBytes, 0, 0, fds);
        } finally {
            sending.unlock();
        }
    }

    /// Sends an error reply.
    ///
    /// @param errno positive
    void sendError(int id, int command, int errno) {
        sending.lock();
        try {
            requireOpen();
            header(errorHeader, id, command, Wire.TYPE_REPLY | Wire.FLAG_ERROR, errno, 0);
            stream.send(errorHeader.address(), Wire.HEADER_BYTES, 0, 0, UnixStream.NO_FDS);
        } finally {
            sending.unlock();
        }
    }

    /// Sends a command of the server. If the client makes room for a part of it only, the stream
    /// ends.
    ///
    /// @param memory native: room for the header, then the body
    /// @param endNanos when to give up ([System#nanoTime])
    /// @return false if the client makes no room for it in time
    boolean sendCommand(
            int id, Command command, MemorySegment memory, long bodyBytes, long endNanos)
            throws InterruptedException {
        header(memory, id, command.number(), Wire.TYPE_COMMAND, NO_ERROR, bodyBytes);
        // A reply that another thread sends may be waiting for the client, and for longer.
        if (!sending.tryLock(endNanos - System.nanoTime(), TimeUnit.NANOSECONDS)) {
            return false;
        }
        try {
            requireOpen();
            long length = Wire.HEADER_BYTES + bodyBytes;
            long sent = stream.sendInTime(memory.address(), length, endNanos);
            if (sent > 0 && sent < length) {
                stream.shutDown();
            }
            return sent == length;
        } finally {
            sending.unlock();
        }
    }

    @GuardedBy("sending")
    private void requireOpen() {
        if (closed) {
            throw new MdevException(Errno.EPIPE, "the connection is closed");
        }
    }

    private static void header(
            MemorySegment memory, int id, int command, int flags, long errno, long bodyBytes) {
        Wire.u16(memory, Wire.ID, id);
        Wire.u16(memory, Wire.COMMAND, command);
        Wire.u32(memory, Wire.SIZE, Wire.HEADER_BYTES + bodyBytes);
        Wire.u32(memory, Wire.FLAGS, flags);
        Wire.u32(memory, Wire.ERROR, errno);
    }

    /// Ends the stream, and the waits of all threads for it.
    void shutDown() {
        stream.shutDown();
    }

    /// Other threads may still try to send, and fail.
    @Override
    public void close() {
        message.closeFds();
        sending.lock();
        try {
            closed = true;
            stream.close();
            arena.close();
        } finally {
            sending.unlock();
        }
    }
}
