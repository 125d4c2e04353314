package dev.mdev.core.bus;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.sync.LongWork;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// The running verbs, at most one per device.
final class VerbLocks {
    private final Registry registry;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition unclaimed = lock.newCondition();

    /// The claims to change a device, by its uuid.
    @GuardedBy("lock")
    private final Map<UUID, Claim> claims = new HashMap<>();

    /// @param registry knows whether the bus is closed
    VerbLocks(Registry registry) {
        this.registry = registry;
    }

    /// The right to change one device, until it is closed or a removal takes it over.
    ///
    /// A verb that needs the driver may be blocked forever, and the removal must not be. A claim
    /// that was taken over has no effect: the device has ended, its driver is not called again, and
    /// the former verb finds that out when it returns. The removal leaves the pages of the device
    /// alone until the former claim is closed.
    ///
    /// A removal that took a claim over may give it back, until [#begin]: then the former claim is
    /// valid again.
    final class Claim implements AutoCloseable {
        private final UUID uuid;
        private final String what;
        private final @Nullable Claim former;
        private final Duration waited;
        private final CountDownLatch closed = new CountDownLatch(1);

        /// Whether a removal may take it over. Read and written under the lock.
        private volatile boolean yields;

        /// Whether the removal of this claim has passed the point of giving up.
        @GuardedBy("lock")
        private boolean begun;

        /// Whether a removal took this over and has passed the point of giving up. That removal
        /// writes it; read under the lock.
        private volatile boolean lost;

        /// The part of the work to undo at once after a takeover, or null.
        @GuardedBy("lock")
        private @Nullable Runnable whenTaken;

        /// Whether that was done.
        @GuardedBy("lock")
        private boolean undone;

        private Claim(UUID uuid, String what, boolean yields) {
            this(uuid, what, yields, null, Duration.ZERO);
        }

        private Claim(
                UUID uuid, String what, boolean yields, @Nullable Claim former, Duration waited) {
            this.uuid = uuid;
            this.what = what;
            this.yields = yields;
            this.former = former;
            this.waited = waited;
        }

        /// The claim that this one took over, if any: its verb may still be running.
        Optional<Claim> former() {
            return Optional.ofNullable(former);
        }

        /// How long the caller waited for it.
        Duration waited() {
            return waited;
        }

        /// The operation, for messages: "being ...".
        String what() {
            return what;
        }

        /// Lets a removal take the claim over from now on.
        ///
        /// @param undo as for [#whenTaken]
        void yieldFromNow(Runnable undo) {
            lock.lock();
            try {
                whenTaken = undo;
                yields = true;
            } finally {
                lock.unlock();
            }
        }

        /// Sets the action to run at once when a removal takes the claim over. It runs at most
        /// once: on the removal's thread, after the device was revoked, or here if the claim is
        /// already taken over.
        void whenTaken(Runnable undo) {
            boolean late;
            lock.lock();
            try {
                whenTaken = undo;
                late = undone;
            } finally {
                lock.unlock();
            }
            if (late) {
                undo.run();
            }
        }

        /// Runs the action of the takeover.
        void undo() {
            Runnable undo;
            lock.lock();
            try {
                undo = whenTaken;
                undone = true;
            } finally {
                lock.unlock();
            }
            if (undo != null) {
                undo.run();
            }
        }

        /// Blocks takeovers from now on. Waits for a removal in progress to begin or to give up.
        ///
        /// @throws MdevException ENODEV if a removal took it over, and now decides about the device
        @SuppressWarnings("ReferenceEquality") // the very claim
        void keep() {
            lock.lock();
            try {
                while (!lost && claims.get(uuid) != this) {
                    unclaimed.awaitUninterruptibly();
                }
                yields = false;
                requireNotLost();
            } finally {
                lock.unlock();
            }
        }

        /// @throws MdevException ENODEV if a removal took the claim over
        void requireNotLost() {
            lock.lock();
            try {
                if (lost) {
                    throw new MdevException(
                            Errno.ENODEV, "mdev=%s has ended in the meantime".formatted(uuid));
                }
            } finally {
                lock.unlock();
            }
        }

        /// The removal has passed the point of giving up.
        void begin() {
            lock.lock();
            try {
                begun = true;
                if (former != null) {
                    former.lost = true;
                }
                unclaimed.signalAll();
            } finally {
                lock.unlock();
            }
        }

        /// Waits until the former owner of the claim has finished with the device, without a limit.
        void awaitClosed() {
            boolean interrupted = false;
            while (true) {
                try {
                    closed.await();
                    break;
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }

        boolean isClosed() {
            return closed.getCount() == 0;
        }

        @Override
        public void close() {
            lock.lock();
            try {
                closed.countDown();
                if (claims.remove(uuid, this) && !begun && former != null && !former.isClosed()) {
                    claims.put(uuid, former);
                }
                unclaimed.signalAll();
            } finally {
                lock.unlock();
            }
        }
    }

    /// Claims the right to change a device. A removal waits for its end.
    ///
    /// @param what for messages: "is being ..."
    /// @param ifTaken the exception if another verb has the claim
    /// @throws MdevException ESHUTDOWN if the bus is closed
    Claim claim(UUID uuid, String what, Errno ifTaken) {
        return claim(uuid, what, ifTaken, false);
    }

    /// The same, unless another verb has the claim.
    ///
    /// @throws MdevException ESHUTDOWN if the bus is closed
    Optional<Claim> tryClaim(UUID uuid, String what) {
        registry.requireOpen();
        lock.lock();
        try {
            if (claims.containsKey(uuid)) {
                return Optional.empty();
            }
            Claim mine = new Claim(uuid, what, false);
            claims.put(uuid, mine);
            return Optional.of(mine);
        } finally {
            lock.unlock();
        }
    }

    /// Claims the right to work on a device with its driver's help. A removal may take it over.
    ///
    /// @param what for messages: "is being ..."
    /// @param ifTaken the exception if another verb has the claim
    /// @throws MdevException ESHUTDOWN if the bus is closed
    Claim claimYielding(UUID uuid, String what, Errno ifTaken) {
        return claim(uuid, what, ifTaken, true);
    }

    private Claim claim(UUID uuid, String what, Errno ifTaken, boolean yields) {
        registry.requireOpen();
        lock.lock();
        try {
            Claim other = claims.get(uuid);
            if (other != null) {
                throw taken(ifTaken, other);
            }
            Claim mine = new Claim(uuid, what, yields);
            claims.put(uuid, mine);
            return mine;
        } finally {
            lock.unlock();
        }
    }

    private static MdevException taken(Errno errno, Claim other) {
        return new MdevException(errno, "mdev=%s is being %s".formatted(other.uuid, other.what));
    }

    /// Claims the right to end a device, even while the bus is being closed.
    ///
    /// @param patience how long to wait for another verb
    /// @param takeOver whether to take its claim over then, if that allows it
    /// @throws MdevException EAGAIN if another verb still has the claim, ECANCELED if the thread's
    ///   [LongWork] is to end
    Claim claimToEnd(UUID uuid, Duration patience, boolean takeOver) {
        return claimInTime(uuid, "removed", patience, takeOver);
    }

    /// Claims the right to change a device that comes with a parent, even while the bus is being
    /// closed.
    ///
    /// @param what for messages: "is being ..."
    /// @param patience how long to wait for another verb
    /// @throws MdevException EAGAIN if another verb still has the claim
    Claim claimInTime(UUID uuid, String what, Duration patience) {
        return claimInTime(uuid, what, patience, false);
    }

    private Claim claimInTime(UUID uuid, String what, Duration patience, boolean takeOver) {
        lock.lock();
        try {
            long start = System.nanoTime();
            long nanos = patience.toNanos();
            Claim before = claims.get(uuid);
            boolean waits = before != null;
            if (before != null) {
                LongWork.current().doing("waits: it is being " + before.what);
            }
            while (claims.containsKey(uuid) && nanos > 0) {
                nanos = LongWork.awaitNanos(unclaimed, nanos);
            }
            Claim other = claims.get(uuid);
            if (other != null && !(takeOver && other.yields)) {
                throw taken(Errno.EAGAIN, other);
            }
            Duration waited = Duration.ofNanos(waits ? System.nanoTime() - start : 0);
            Claim mine = new Claim(uuid, what, false, other, waited);
            claims.put(uuid, mine);
            return mine;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new MdevException(Errno.EINTR, "interrupted: mdev=" + uuid, e);
        } finally {
            lock.unlock();
        }
    }
}
