package dev.mdev.vfiouser;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.core.sync.Cancellation;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// Reads and writes of guest memory by messages to the client, one at a time. The session's thread
/// delivers the answers, so it cannot wait for one: while it serves a register access, the guest's
/// processor waits too, and the client may not answer until that ends.
final class DmaMessages implements AutoCloseable {
    /// The maximum of one message: clients send the answer in one piece, and a longer one may not
    /// fit their socket's buffer.
    private static final int MAX_BYTES = 1 << 16;

    private static final int BODY_BYTES = 16;
    private static final int IDS = 1 << 16;

    private final Channel channel;
    private final Thread session;
    private final Duration timeout;
    private volatile int maxBytes = MAX_BYTES;

    /// Held for a whole exchange.
    private final ReentrantLock exchange = new ReentrantLock();

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final Arena arena = Arena.ofShared();

    @GuardedBy("exchange")
    private final MemorySegment request =
            arena.allocate(Wire.HEADER_BYTES + BODY_BYTES + MAX_BYTES, Long.BYTES);

    /// What the last read got. Only the thread that reads knows its own buffer: other threads may
    /// not be allowed to use it.
    @GuardedBy("lock")
    private final MemorySegment answered = arena.allocate(MAX_BYTES, Long.BYTES);

    @GuardedBy("lock")
    private int id;

    @GuardedBy("lock")
    private @Nullable Pending pending;

    @GuardedBy("lock")
    private boolean closed;

    /// An awaited answer.
    private static final class Pending {
        private final int id;
        private final Access access;

        /// Bytes that the answer must have: none for a write.
        private final long dataBytes;

        private boolean done;
        private String failure = "";

        Pending(int id, Access access, long dataBytes) {
            this.id = id;
            this.access = access;
            this.dataBytes = dataBytes;
        }

        Command command() {
            return access == Access.READ ? Command.DMA_READ : Command.DMA_WRITE;
        }
    }

    /// @param session the thread that calls [#deliver]
    /// @param timeout the maximum time of one exchange, and of the wait for another's end
    DmaMessages(Channel channel, Thread session, Duration timeout) {
        this.channel = channel;
        this.session = session;
        this.timeout = timeout;
    }

    /// The maximum bytes of one transfer.
    int maxBytes() {
        return maxBytes;
    }

    /// Takes the client's own limit into account.
    void limit(long clientBytes) {
        maxBytes = Math.clamp(clientBytes, 1, MAX_BYTES);
    }

    /// Moves bytes.
    ///
    /// @param buffer at most [#maxBytes]
    /// @param held sends the request while the map stays
    /// @return why it failed; empty if it is done
    String transfer(long iova, MemorySegment buffer, Access access, ClientReach.Held held) {
        if (Thread.currentThread().equals(session)) {
            return "memory that is reached by messages cannot be accessed inside a register access";
        }
        try {
            long nanos = timeout.toNanos();
            return switch (Cancellation.await(
                    () -> exchange.tryLock(nanos, TimeUnit.NANOSECONDS))) {
                case DONE -> {
                    try {
                        yield exchangeLocked(iova, buffer, access, held);
                    } finally {
                        exchange.unlock();
                    }
                }
                case TIMED_OUT -> "another access to the client's memory does not end";
                case CANCELLED -> "the step is to end";
            };
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return "interrupted";
        }
    }

    @GuardedBy("exchange")
    private String exchangeLocked(
            long iova, MemorySegment buffer, Access access, ClientReach.Held held)
            throws InterruptedException {
        Pending mine = begin(buffer, access);
        if (mine == null) {
            return "the client is gone";
        }
        try {
            long dataBytes = access == Access.WRITE ? buffer.byteSize() : 0;
            Wire.u64(request, Wire.HEADER_BYTES, iova);
            Wire.u64(request, Wire.HEADER_BYTES + Long.BYTES, buffer.byteSize());
            MemorySegment.copy(
                    buffer, 0, request, Wire.HEADER_BYTES + (long) BODY_BYTES, dataBytes);
            // In the hold only the check: a message may wait for the client to read.
            if (!held.run(() -> {})) {
                return "taken away";
            }
            long end = System.nanoTime() + timeout.toNanos();
            String failure = send(mine, BODY_BYTES + dataBytes, end);
            if (failure.isEmpty()) {
                failure = await(mine, end);
            }
            if (failure.isEmpty()) {
                copyAnswer(mine, buffer);
            }
            return failure;
        } catch (MdevException e) {
            return "the client is gone: " + e.getMessage();
        } finally {
            end();
        }
    }

    private @Nullable Pending begin(MemorySegment buffer, Access access) {
        lock.lock();
        try {
            if (closed) {
                return null;
            }
            id = (id + 1) % IDS;
            Pending made = new Pending(id, access, access == Access.READ ? buffer.byteSize() : 0);
            pending = made;
            return made;
        } finally {
            lock.unlock();
        }
    }

    private void copyAnswer(Pending mine, MemorySegment buffer) {
        lock.lock();
        try {
            MemorySegment.copy(answered, 0, buffer, 0, mine.dataBytes);
        } finally {
            lock.unlock();
        }
    }

    private void end() {
        lock.lock();
        try {
            pending = null;
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("exchange")
    private String send(Pending mine, long bodyBytes, long endNanos) throws InterruptedException {
        MemorySegment message = request;
        return switch (Cancellation.await(
                () -> channel.sendCommand(mine.id, mine.command(), message, bodyBytes, endNanos))) {
            case DONE -> "";
            case TIMED_OUT -> "the client reads nothing";
            case CANCELLED -> "the step is to end";
        };
    }

    private String await(Pending mine, long endNanos) throws InterruptedException {
        return switch (Cancellation.await(() -> isAnswered(mine, endNanos))) {
            case DONE -> mine.failure;
            case TIMED_OUT -> "the client does not answer, or is gone";
            case CANCELLED -> "the step is to end";
        };
    }

    /// Waits for the answer.
    ///
    /// @return false if it does not come
    private boolean isAnswered(Pending mine, long endNanos) throws InterruptedException {
        lock.lock();
        try {
            long nanos = endNanos - System.nanoTime();
            while (!mine.done && !closed && nanos > 0) {
                nanos = changed.awaitNanos(nanos);
            }
            return mine.done;
        } finally {
            lock.unlock();
        }
    }

    /// Takes an answer of the client. One that nobody awaits, or awaits any more, is ignored.
    void deliver(Message answer) {
        lock.lock();
        try {
            Pending mine = pending;
            if (mine == null
                    || mine.done
                    || answer.id() != mine.id
                    || answer.command() != mine.command().number()) {
                return;
            }
            mine.failure = takeLocked(answer, mine);
            mine.done = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private String takeLocked(Message answer, Pending mine) {
        if (answer.error() != 0) {
            return "the client refuses: errno=" + answer.error();
        }
        if (answer.bodyBytes() < BODY_BYTES + mine.dataBytes) {
            return "the client answers too few bytes: " + answer.bodyBytes();
        }
        MemorySegment.copy(
                answer.memory(), Message.inMemory(BODY_BYTES), answered, 0, mine.dataBytes);
        return "";
    }

    /// Ends all waits: the client is gone.
    void abandon() {
        lock.lock();
        try {
            closed = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void close() {
        abandon();
        exchange.lock();
        try {
            arena.close();
        } finally {
            exchange.unlock();
        }
    }
}
