package dev.mdev.vfiouser;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.sys.UnixStream;

import org.jspecify.annotations.Nullable;

import java.time.Instant;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.ReentrantLock;

/// One connection of a client: serves its messages in order, on one thread, until the client is
/// gone.
final class Session implements Runnable {
    /// No request is being served, or it has its reply.
    private static final long ANSWERED = 0;

    private static final long OPEN = 1L << 63;
    private static final int ID_SHIFT = 16;
    private static final int COUNT_SHIFT = 32;
    private static final long COUNT_MASK = 0x7fff_ffffL;
    private static final int U16 = 0xffff;

    private final Channel channel;
    private final UnixStream.Peer peer;
    private final SessionOptions options;
    private final Start start;
    private final Instant since = Instant.now();

    /// Held for a moment, so that the stream is not closed meanwhile.
    private final ReentrantLock life = new ReentrantLock();

    @GuardedBy("life")
    private boolean ended;

    private final AtomicLongArray requests = new AtomicLongArray(Command.values().length);

    /// The request that still needs a reply: [#OPEN], how many came before, its id and command; or
    /// [#ANSWERED]. One thread replies: the one that changes it.
    private final AtomicLong answer = new AtomicLong(ANSWERED);

    /// The value of [#answer] while the session's thread serves it.
    private long open;

    private long count;

    /// When the request came; written before [#answer].
    private volatile long begunNanos = System.nanoTime();

    private final AtomicLong errors = new AtomicLong();
    private volatile Optional<MdevException> failure = Optional.empty();
    private volatile @Nullable Version version;
    private volatile @Nullable Handlers serving;

    /// No further message is served.
    private volatile boolean ending;

    private volatile @Nullable ClientDevice device;

    /// Makes the device of a connection, once it is known what the client speaks.
    interface Start extends AutoCloseable {
        /// @throws MdevException if the device cannot be had now
        ClientDevice device(Channel channel);

        /// How the device is served.
        Handlers handlers(ClientDevice device, Version version);

        /// The session is over.
        @Override
        void close();
    }

    /// @param stream becomes this object's
    Session(UnixStream stream, SessionOptions options, Start start) {
        this.peer = stream.peer();
        this.options = options;
        this.start = start;
        stream.setSendTimeout(options.sendTimeout());
        channel = new Channel(stream, options.spin().toNanos());
    }

    /// Serves the client, then takes the device back.
    @Override
    public void run() {
        try (Start begun = start) {
            try (ClientDevice made = begun.device(channel)) {
                device = made;
                serveUntilTheEnd(made);
            } finally {
                device = null;
            }
        } catch (MdevException e) {
            // The connection failed, or the device: either way it is over for this client.
            failure = Optional.of(e);
        } finally {
            discard();
        }
    }

    /// Closes the connection, of which no thread receives.
    void discard() {
        life.lock();
        try {
            ended = true;
            channel.close();
        } finally {
            life.unlock();
        }
    }

    /// Why the connection ended, if the client did not simply leave.
    Optional<MdevException> failure() {
        return failure;
    }

    private void serveUntilTheEnd(ClientDevice made) {
        try {
            serve(made);
        } finally {
            ending = true;
        }
    }

    private void serve(ClientDevice made) {
        if (channel.receive(null) != Channel.Received.MESSAGE) {
            return;
        }
        Version agreed = negotiate();
        if (agreed == null) {
            return;
        }
        try (Handlers handlers = start.handlers(made, agreed)) {
            serving = handlers;
            while (true) {
                switch (channel.receive(made.interrupts().unmaskEvent())) {
                    case MESSAGE -> handle(handlers);
                    case EVENT -> made.interrupts().unmaskLine();
                    case END -> {
                        return;
                    }
                }
            }
        }
    }

    private @Nullable Version negotiate() {
        Message message = channel.message();
        begin(message);
        try {
            Version agreed = Version.of(message);
            long bodyBytes = agreed.write(channel.reply());
            // Before the reply: a client that has it is never late with its version.
            count(Command.VERSION);
            version = agreed;
            reply(bodyBytes, UnixStream.NO_FDS);
            return agreed;
        } catch (MdevException e) {
            ending = true;
            fail(e.errno().code());
            return null;
        }
    }

    private void handle(Handlers handlers) {
        Message message = channel.message();
        if (message.isReply()) {
            handlers.deliver(message);
            return;
        }
        begin(message);
        boolean wanted = message.wantsReply();
        try {
            Command known = Command.of(message.command());
            if (known == null) {
                throw new MdevException(Errno.EINVAL, "command=" + message.command());
            }
            count(known);
            Handlers.Reply reply = handlers.handle(known, message, channel.reply());
            if (wanted) {
                reply(reply.bodyBytes(), reply.fds());
            }
        } catch (MdevException e) {
            errors.incrementAndGet();
            if (wanted) {
                fail(e.errno().code());
            }
        } catch (RuntimeException e) {
            errors.incrementAndGet();
            if (wanted) {
                fail(Errno.EIO.code());
            }
        } finally {
            answer.set(ANSWERED);
            message.closeFds();
        }
    }

    private void begin(Message message) {
        begunNanos = System.nanoTime();
        count++;
        long request =
                OPEN
                        | (count & COUNT_MASK) << COUNT_SHIFT
                        | (long) message.id() << ID_SHIFT
                        | message.command();
        open = message.wantsReply() ? request : ANSWERED;
        answer.set(open);
    }

    private void count(Command known) {
        int index = known.ordinal();
        requests.setRelease(index, requests.getPlain(index) + 1);
    }

    private void reply(long bodyBytes, int[] fds) {
        if (open != ANSWERED && answer.compareAndSet(open, ANSWERED)) {
            channel.sendReply(idOf(open), commandOf(open), bodyBytes, fds);
        }
    }

    private void fail(int errno) {
        if (open != ANSWERED && answer.compareAndSet(open, ANSWERED)) {
            channel.sendError(idOf(open), commandOf(open), errno);
        }
    }

    private static int idOf(long request) {
        return (int) (request >>> ID_SHIFT) & U16;
    }

    private static int commandOf(long request) {
        return (int) request & U16;
    }

    /// Called from time to time by another thread. A request that is not served in time gets an
    /// error, because a late reply would end the client's connection; and a client that does not
    /// begin with its version must not keep the device from others.
    void watch(long nowNanos) {
        ClientDevice made = device;
        if (made != null) {
            made.interrupts().rescue(nowNanos);
        }
        // Before the time: a request that came in between is young.
        long request = answer.get();
        if (nowNanos - begunNanos < options.replyTimeout().toNanos()) {
            return;
        }
        if (version == null) {
            shutDown();
        } else if (request != ANSWERED && answer.compareAndSet(request, ANSWERED)) {
            try {
                channel.sendError(idOf(request), commandOf(request), Errno.ETIMEDOUT.code());
            } catch (MdevException e) {
                shutDown();
            }
        }
    }

    /// Asks the client to release the device.
    ///
    /// @return whether it listens to that
    boolean requestRelease() {
        ClientDevice made = device;
        if (made == null || !made.interrupts().hearsRequests()) {
            return false;
        }
        made.function().interrupts().requestRelease();
        return true;
    }

    /// Whether the client has stopped the device.
    boolean isStandingStill() {
        Handlers handlers = serving;
        return handlers != null && handlers.isStandingStill();
    }

    /// Ends the connection; the device is taken back by its thread.
    void shutDown() {
        life.lock();
        try {
            if (!ended) {
                channel.shutDown();
            }
        } finally {
            life.unlock();
        }
    }

    /// Whether it is over, or will be as soon as its thread notices that the client has left.
    boolean isEnding() {
        life.lock();
        try {
            return ending || ended || channel.stream().isHungUp();
        } finally {
            life.unlock();
        }
    }

    ConnectionStatus status() {
        SortedMap<String, Long> counts = new TreeMap<>();
        for (Command known : Command.values()) {
            long count = requests.getAcquire(known.ordinal());
            if (count != 0) {
                counts.put(known.name(), count);
            }
        }
        ClientDevice made = device;
        Version agreed = version;
        return new ConnectionStatus(
                peer.pid(),
                peer.uid(),
                since,
                agreed == null ? "" : "0." + agreed.minor(),
                counts,
                errors.get(),
                made == null ? 0 : made.memory().count(),
                made == null ? 0 : made.memory().mappedBytes());
    }
}
