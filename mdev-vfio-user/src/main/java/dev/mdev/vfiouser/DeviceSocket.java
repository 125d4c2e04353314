package dev.mdev.vfiouser;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.DeviceHolder;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.core.sys.UnixListener;
import dev.mdev.core.sys.UnixStream;

import org.jspecify.annotations.Nullable;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/// A mediated device on a Unix domain socket, for the virtual machine of another program.
///
/// The holder keeps the device from [#open] to [#close]; clients come and go, one at a time. Each
/// gets the device as after a reset, and another that connects meanwhile is refused at once.
///
/// Any thread may call all methods, while it holds no lock of the framework.
public final class DeviceSocket implements AutoCloseable {
    private static final int BACKLOG = 8;
    private static final Duration END_TIMEOUT = Duration.ofSeconds(5);
    private static final long WATCH_NANOS = 500_000_000;
    private static final long RETRY_NANOS = 100_000_000;

    private final Mdev mdev;
    private final HostMemory memory;
    private final Settings settings;
    private final Syscalls sys = Syscalls.ofThisProcess();
    private final UnixListener listener;
    private final Thread acceptor;
    private final Thread watchdog;
    private final DeviceHolder holder = new Holder();
    private final ReentrantLock lock = new ReentrantLock();

    /// The device while no client has it; null while one has, or if it could not be had.
    @GuardedBy("lock")
    private @Nullable MdevAssignment idle;

    @GuardedBy("lock")
    private @Nullable Running running;

    /// Whether a client is about to get the device.
    @GuardedBy("lock")
    private boolean starting;

    /// How often the device is being saved or restored by the host, while no client has it.
    @GuardedBy("lock")
    private int pauses;

    private volatile boolean closing;

    /// It is closed, so nothing of a client can hold a thread any more.
    private volatile boolean closed;

    private final AtomicLong refused = new AtomicLong();
    private volatile String lastFailure = "";

    /// A connection and its thread.
    private record Running(Session session, Thread thread) {}

    /// How a device is offered.
    ///
    /// @param path the socket's, at most 107 bytes
    /// @param permissions of the socket's file, as `ls` prints them, such as `rw-rw----`
    /// @param owner the uid that owns the file; -1 for this process's
    /// @param group the gid of the file; -1 for this process's
    /// @param holder the holder's name
    public record Settings(
            Path path,
            String permissions,
            int owner,
            int group,
            String holder,
            SessionOptions options,
            BarFiles barFiles,
            DeviceStates states) {
        /// For clients of this process's user, with all accesses trapped and no migration.
        public static Settings of(Path path, String holder) {
            return new Settings(
                    path,
                    "rw-------",
                    -1,
                    -1,
                    holder,
                    SessionOptions.DEFAULT,
                    BarFiles.NONE,
                    DeviceStates.NONE);
        }
    }

    private DeviceSocket(Mdev mdev, HostMemory memory, Settings settings) {
        this.mdev = mdev;
        this.memory = memory;
        this.settings = settings;
        idle = mdev.assign(holder);
        try {
            listener = listen();
        } catch (RuntimeException | Error e) {
            idle.close();
            throw e;
        }
        acceptor = thread(" accept", this::accept);
        watchdog = thread(" watch", this::watch);
    }

    private Thread thread(String role, Runnable body) {
        return Thread.ofPlatform().daemon().name("vfio-user " + mdev.uuid() + role).unstarted(body);
    }

    /// Takes a device, and offers it at a path.
    ///
    /// @param memory the host's memory, which has the device's pages
    /// @throws MdevException EBUSY if the device has a holder; EADDRINUSE if another process
    ///   listens at the path; otherwise the error of the socket's file
    public static DeviceSocket open(Mdev mdev, HostMemory memory, Settings settings) {
        DeviceSocket made = new DeviceSocket(mdev, memory, settings);
        made.acceptor.start();
        made.watchdog.start();
        return made;
    }

    private UnixListener listen() {
        UnixListener made = UnixListener.bind(sys, settings.path());
        try {
            setOwner(settings.path());
            made.listen(BACKLOG);
            return made;
        } catch (IOException e) {
            made.close();
            throw new MdevException(
                    Errno.EPERM,
                    "owner=%d group=%d permissions=%s path=%s"
                            .formatted(
                                    settings.owner(),
                                    settings.group(),
                                    settings.permissions(),
                                    settings.path()),
                    e);
        } catch (RuntimeException | Error e) {
            made.close();
            throw e;
        }
    }

    private void setOwner(Path path) throws IOException {
        Files.setPosixFilePermissions(
                path, PosixFilePermissions.fromString(settings.permissions()));
        if (settings.group() >= 0) {
            Files.setAttribute(path, "unix:gid", settings.group());
        }
        if (settings.owner() >= 0) {
            Files.setAttribute(path, "unix:uid", settings.owner());
        }
    }

    /// The device.
    public Mdev mdev() {
        return mdev;
    }

    /// Where clients connect.
    public Path path() {
        return settings.path();
    }

    /// The client, if there is one.
    public Optional<ConnectionStatus> connection() {
        return Optional.ofNullable(runningNow()).map(there -> there.session.status());
    }

    /// Connections that were refused, because another client had the device, or it could not be
    /// had.
    public long refused() {
        return refused.get();
    }

    /// Why the last connection failed, or was refused; empty if none did.
    public String lastFailure() {
        return lastFailure;
    }

    private void accept() {
        while (!closing) {
            UnixStream stream;
            try {
                stream = listener.accept();
            } catch (MdevException e) {
                lastFailure = String.valueOf(e.getMessage());
                LockSupport.parkNanos(this, RETRY_NANOS);
                continue;
            }
            if (stream == null) {
                if (!closing) {
                    LockSupport.parkNanos(this, RETRY_NANOS);
                }
                continue;
            }
            start(stream);
        }
    }

    private void start(UnixStream stream) {
        awaitFormer();
        try {
            MdevAssignment assignment = take();
            try {
                begin(
                        new Session(
                                stream,
                                settings.options(),
                                new DeviceStart(
                                        assignment,
                                        new ClientDevice.Host(
                                                sys,
                                                memory,
                                                settings.options(),
                                                settings.barFiles()),
                                        settings.states())));
            } catch (RuntimeException | Error e) {
                giveBack(assignment);
                throw e;
            }
        } catch (RuntimeException | Error e) {
            // Whatever it is, the next client must be served.
            refused.incrementAndGet();
            lastFailure = String.valueOf(e.getMessage());
            stream.close();
        }
    }

    /// Takes the device for a client. Driver code may run, so this holds no lock meanwhile.
    private MdevAssignment take() {
        MdevAssignment taken;
        lock.lock();
        try {
            if (closing || running != null || pauses != 0) {
                throw new MdevException(Errno.EBUSY, "another client has the device, or the host");
            }
            taken = idle;
            idle = null;
            starting = true;
        } finally {
            lock.unlock();
        }
        if (taken != null) {
            return taken;
        }
        try {
            return mdev.assign(holder);
        } catch (RuntimeException | Error e) {
            giveBack(null);
            throw e;
        }
    }

    /// No client has the device, or is about to get it.
    ///
    /// @param assignment for the next one
    private void giveBack(@Nullable MdevAssignment assignment) {
        lock.lock();
        try {
            idle = assignment;
            running = null;
            starting = false;
        } finally {
            lock.unlock();
        }
        if (closing) {
            releaseIdle();
        }
    }

    private void begin(Session session) {
        Thread thread = thread("", () -> serve(session));
        lock.lock();
        try {
            if (closing) {
                throw new MdevException(Errno.ESHUTDOWN, "the device is being detached");
            }
            // First, because it may fail. The thread cannot end before the lock is free.
            thread.start();
            running = new Running(session, thread);
            starting = false;
        } catch (RuntimeException | Error e) {
            session.discard();
            throw e;
        } finally {
            lock.unlock();
        }
    }

    /// A client that follows another at once must not be refused because the other's end is still
    /// unnoticed, or the device is being reset.
    private void awaitFormer() {
        Running former = runningNow();
        if (former != null && former.session.isEnding()) {
            try {
                var _ = former.thread.join(END_TIMEOUT);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private @Nullable Running runningNow() {
        lock.lock();
        try {
            return running;
        } finally {
            lock.unlock();
        }
    }

    private void serve(Session session) {
        try {
            session.run();
        } finally {
            session.failure()
                    .ifPresent(failure -> lastFailure = String.valueOf(failure.getMessage()));
            ended();
        }
    }

    /// Keeps the device for the next client.
    private void ended() {
        MdevAssignment next = null;
        try {
            next = closing ? null : mdev.assign(holder);
        } catch (MdevException e) {
            // The next client tries again.
            lastFailure = String.valueOf(e.getMessage());
        } finally {
            giveBack(next);
        }
    }

    /// Goes on while the device is being detached: a counter that the client has filled must not
    /// hold the thread that detaches it.
    private void watch() {
        while (!closed) {
            LockSupport.parkNanos(this, WATCH_NANOS);
            Running now = runningNow();
            if (now != null) {
                now.session.watch(System.nanoTime());
            }
        }
    }

    private void releaseIdle() {
        MdevAssignment unused;
        lock.lock();
        try {
            unused = idle;
            idle = null;
        } finally {
            lock.unlock();
        }
        if (unused != null) {
            unused.close();
        }
    }

    /// Takes the device back: asks the client to release it, if it listens to that, then ends the
    /// connection. When this returns, no client reaches the device. Closing again does nothing.
    ///
    /// @throws MdevException ETIMEDOUT if the connection's thread is stuck in a driver's callback;
    ///   call again later
    @Override
    public void close() {
        closing = true;
        listener.shutDown();
        Running now = runningNow();
        try {
            if (now != null) {
                if (now.session.requestRelease()) {
                    var _ = now.thread.join(settings.options().releaseGrace());
                }
                now.session.shutDown();
                if (!now.thread.join(END_TIMEOUT)) {
                    throw new MdevException(
                            Errno.ETIMEDOUT, "a client's request does not end: " + mdev);
                }
            }
            var _ = acceptor.join(END_TIMEOUT);
            listener.close();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new MdevException(Errno.EINTR, "interrupted while closing " + path(), e);
        }
        releaseIdle();
        closed = true;
        LockSupport.unpark(watchdog);
    }

    /// The machine as the device's holder: the device can be saved while no client has it, and
    /// while the client has stopped it.
    private final class Holder implements DeviceHolder {
        @Override
        public String name() {
            return settings.holder();
        }

        @Override
        public Optional<Pause> pause() {
            lock.lock();
            try {
                Running now = running;
                if (starting) {
                    return Optional.empty();
                }
                if (now == null) {
                    pauses++;
                    return Optional.of(DeviceSocket.this::resume);
                }
                return now.session.isStandingStill() ? Optional.of(() -> {}) : Optional.empty();
            } finally {
                lock.unlock();
            }
        }
    }

    private void resume() {
        lock.lock();
        try {
            pauses--;
        } finally {
            lock.unlock();
        }
    }
}
