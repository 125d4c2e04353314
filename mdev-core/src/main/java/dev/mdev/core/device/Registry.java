package dev.mdev.core.device;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.PoolShare;
import dev.mdev.core.ledger.Owner;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;

/// Which parents and devices there are, and which verbs are under way.
final class Registry {
    private final ReentrantLock registry = new ReentrantLock();
    private final Condition unclaimed = registry.newCondition();

    @GuardedBy("registry")
    private final Map<String, Parent> parents = new LinkedHashMap<>();

    /// Devices that exist or may exist, those that are being made or ended included: their uuids
    /// are taken.
    @GuardedBy("registry")
    private final Map<UUID, Entry> entries = new LinkedHashMap<>();

    /// Who may change a device now, by its uuid.
    @GuardedBy("registry")
    private final Map<UUID, Claim> claims = new HashMap<>();

    @GuardedBy("registry")
    private boolean closing;

    /// A device that exists or may exist.
    ///
    /// @param mdev the device as we use it; null if it is not ours to use
    /// @param share its pages
    record Entry(
            UUID uuid,
            Parent parent,
            MdevType type,
            Owner owner,
            Activity activity,
            @Nullable Mdev mdev,
            List<PoolShare> share,
            Optional<String> trouble) {
        static Entry of(Mdev mdev, Owner owner, Activity activity) {
            return new Entry(
                    mdev.uuid(),
                    mdev.parent(),
                    mdev.type(),
                    owner,
                    activity,
                    mdev,
                    mdev.share(),
                    Optional.empty());
        }

        Entry with(Activity now, Optional<String> why) {
            return new Entry(uuid, parent, type, owner, now, mdev, share, why);
        }

        /// The device, of an entry that has one.
        Mdev required() {
            return Objects.requireNonNull(mdev);
        }

        long npages() {
            List<PoolShare> held = mdev == null ? share : mdev.share();
            return held.stream().mapToLong(PoolShare::npages).sum();
        }
    }

    /// The right to change one device, until it is closed or a removal takes it over.
    ///
    /// Who works on a device with the driver's help may be kept for ever, and the removal must not
    /// be. A claim that was taken over is worth nothing: the device has ended, its driver is asked
    /// nothing more, and whoever comes back finds that out. Its pages are not touched by the
    /// removal before the claim is closed.
    final class Claim implements AutoCloseable {
        private final UUID uuid;
        private final String what;
        private final boolean yields;
        private final @Nullable Claim former;
        private final Duration waited;
        private final CountDownLatch closed = new CountDownLatch(1);

        /// What of the work is to be undone at once when it is taken over, or null.
        @GuardedBy("registry")
        private @Nullable Runnable whenTaken;

        /// @param what for messages: is being ...
        /// @param yields whether a removal may take the claim over
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

        /// The claim that this one took over, if it did: its work may still be under way.
        Optional<Claim> former() {
            return Optional.ofNullable(former);
        }

        /// How long it was waited for.
        Duration waited() {
            return waited;
        }

        /// What the device is being.
        String what() {
            return what;
        }

        /// Sets what is to be undone at once when a removal takes the claim over. Runs at most
        /// once: on the removal's thread, after the device was revoked, or here if it was taken
        /// over already.
        void whenTaken(Runnable undo) {
            boolean held;
            registry.lock();
            try {
                whenTaken = undo;
                held = isHeldLocked(this);
            } finally {
                registry.unlock();
            }
            if (!held) {
                undo();
            }
        }

        /// Undoes what was to be undone at once.
        void undo() {
            Runnable undo;
            registry.lock();
            try {
                undo = whenTaken;
                whenTaken = null;
            } finally {
                registry.unlock();
            }
            if (undo != null) {
                undo.run();
            }
        }

        /// Whether nobody took the claim over.
        boolean isHeld() {
            registry.lock();
            try {
                return isHeldLocked(this);
            } finally {
                registry.unlock();
            }
        }

        /// Waits until whoever had the claim is done with the device, however long it takes.
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
            registry.lock();
            try {
                claims.remove(uuid, this);
                closed.countDown();
                unclaimed.signalAll();
            } finally {
                registry.unlock();
            }
        }
    }

    @GuardedBy("registry")
    @SuppressWarnings("ReferenceEquality") // the very claim
    private boolean isHeldLocked(Claim claim) {
        return claims.get(claim.uuid) == claim;
    }

    /// Takes the right to change a device. A removal waits for its end.
    ///
    /// @param what for messages: is being ...
    /// @param ifTaken what to throw if somebody else is at it
    /// @throws MdevException ESHUTDOWN if the bus is closed
    Claim claim(UUID uuid, String what, Errno ifTaken) {
        return claim(uuid, what, ifTaken, false);
    }

    /// Takes the right to work on a device with its driver's help. A removal may take it over.
    ///
    /// @param what for messages: is being ...
    /// @param ifTaken what to throw if somebody else is at it
    /// @throws MdevException ESHUTDOWN if the bus is closed
    Claim claimYielding(UUID uuid, String what, Errno ifTaken) {
        return claim(uuid, what, ifTaken, true);
    }

    private Claim claim(UUID uuid, String what, Errno ifTaken, boolean yields) {
        registry.lock();
        try {
            requireOpenLocked();
            Claim other = claims.get(uuid);
            if (other != null) {
                throw taken(ifTaken, other);
            }
            Claim mine = new Claim(uuid, what, yields);
            claims.put(uuid, mine);
            return mine;
        } finally {
            registry.unlock();
        }
    }

    private static MdevException taken(Errno errno, Claim other) {
        return new MdevException(errno, "mdev=%s is being %s".formatted(other.uuid, other.what));
    }

    /// Takes the right to end a device, also while the bus is being closed.
    ///
    /// @param patience how long to wait for somebody else who is at it
    /// @param takeOver whether to take its claim over then, if that yields
    /// @throws MdevException EAGAIN if somebody else still is at it
    Claim claimToEnd(UUID uuid, Duration patience, boolean takeOver) {
        registry.lock();
        try {
            long start = System.nanoTime();
            long nanos = patience.toNanos();
            boolean waits = claims.containsKey(uuid);
            while (claims.containsKey(uuid) && nanos > 0) {
                nanos = unclaimed.awaitNanos(nanos);
            }
            Claim other = claims.get(uuid);
            if (other != null && !(takeOver && other.yields)) {
                throw taken(Errno.EAGAIN, other);
            }
            Duration waited = Duration.ofNanos(waits ? System.nanoTime() - start : 0);
            Claim mine = new Claim(uuid, "removed", false, other, waited);
            claims.put(uuid, mine);
            return mine;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new MdevException(Errno.EINTR, "interrupted: mdev=" + uuid, e);
        } finally {
            registry.unlock();
        }
    }

    @GuardedBy("registry")
    private void requireOpenLocked() {
        if (closing) {
            throw new MdevException(Errno.ESHUTDOWN, "the bus is closed");
        }
    }

    /// Lets nothing new begin, if no device is assigned.
    ///
    /// @throws MdevException EBUSY if one is
    void beginClosing() {
        registry.lock();
        try {
            for (Entry entry : entries.values()) {
                Optional<String> holder =
                        entry.mdev == null ? Optional.empty() : entry.mdev.holder();
                if (entry.activity == Activity.ACTIVE && holder.isPresent()) {
                    throw new MdevException(
                            Errno.EBUSY,
                            "mdev=%s is assigned to %s".formatted(entry.uuid, holder.get()));
                }
            }
            closing = true;
        } finally {
            registry.unlock();
        }
    }

    /// @throws MdevException EEXIST if a parent of that name is there
    void addParent(Parent parent) {
        registry.lock();
        try {
            requireOpenLocked();
            if (parents.putIfAbsent(parent.name(), parent) != null) {
                throw new MdevException(Errno.EEXIST, "parent=" + parent.name());
            }
        } finally {
            registry.unlock();
        }
    }

    void removeParent(Parent parent) {
        registry.lock();
        try {
            parents.remove(parent.name(), parent);
            entries.values().removeIf(entry -> entry.parent == parent);
        } finally {
            registry.unlock();
        }
    }

    void setPresence(Parent parent, Parent.Presence presence) {
        registry.lock();
        try {
            parent.setPresence(presence);
        } finally {
            registry.unlock();
        }
    }

    List<Parent> parents() {
        registry.lock();
        try {
            return List.copyOf(parents.values());
        } finally {
            registry.unlock();
        }
    }

    Optional<Parent> parent(String name) {
        registry.lock();
        try {
            return Optional.ofNullable(parents.get(name));
        } finally {
            registry.unlock();
        }
    }

    List<Entry> entries() {
        registry.lock();
        try {
            return List.copyOf(entries.values());
        } finally {
            registry.unlock();
        }
    }

    List<Entry> entriesOf(Parent parent) {
        return entries().stream().filter(entry -> entry.parent() == parent).toList();
    }

    Optional<Entry> find(UUID uuid) {
        registry.lock();
        try {
            return Optional.ofNullable(entries.get(uuid));
        } finally {
            registry.unlock();
        }
    }

    /// How many devices of a type a parent has, whosever they are.
    int instances(Parent parent, MdevType type) {
        registry.lock();
        try {
            return instancesLocked(parent, type);
        } finally {
            registry.unlock();
        }
    }

    @GuardedBy("registry")
    private int instancesLocked(Parent parent, MdevType type) {
        return (int)
                entries.values().stream()
                        .filter(entry -> entry.parent == parent && entry.type.equals(type))
                        .count();
    }

    /// Takes a uuid and the pages of a new device.
    ///
    /// @throws MdevException EEXIST if the uuid is taken, on whatever parent; ENODEV if the parent
    ///   is not there to be used; EUSERS if the device does not fit
    Mdev reserve(UUID uuid, Parent parent, MdevType type, Function<List<PoolShare>, Mdev> make) {
        registry.lock();
        try {
            requireFreeLocked(uuid);
            if (parent.presence() != Parent.Presence.PRESENT) {
                throw new MdevException(
                        Errno.ENODEV,
                        "parent=%s is %s".formatted(parent.name(), parent.presence()));
            }
            int sameType = instancesLocked(parent, type);
            if (sameType >= type.maxInstances()) {
                throw new MdevException(
                        Errno.EUSERS,
                        "type=%s has its most instances: %d".formatted(type.id(), sameType));
            }
            Mdev mdev = make.apply(parent.capacity().allocate(type, new Tenant.Device(uuid)));
            entries.put(uuid, Entry.of(mdev, Owner.OURS, Activity.STARTING));
            return mdev;
        } finally {
            registry.unlock();
        }
    }

    @GuardedBy("registry")
    private void requireFreeLocked(UUID uuid) {
        Entry other = entries.get(uuid);
        if (other != null) {
            throw new MdevException(
                    Errno.EEXIST,
                    "mdev=%s exists: type=%s parent=%s owner=%s activity=%s"
                            .formatted(
                                    uuid,
                                    other.type.id(),
                                    other.parent.name(),
                                    other.owner,
                                    other.activity));
        }
    }

    /// Adds a device that was found.
    ///
    /// @throws MdevException EEXIST if the uuid is taken
    void add(Entry entry) {
        registry.lock();
        try {
            requireFreeLocked(entry.uuid);
            entries.put(entry.uuid, entry);
        } finally {
            registry.unlock();
        }
    }

    /// Replaces what is known of a device.
    void put(Entry entry) {
        registry.lock();
        try {
            entries.put(entry.uuid, entry);
        } finally {
            registry.unlock();
        }
    }

    /// Makes a new device known as active.
    ///
    /// @throws MdevException ENODEV if its parent is leaving, or `claim` was taken over: it must be
    ///   ended then
    void activate(Mdev mdev, Owner owner, Claim claim) {
        registry.lock();
        try {
            if (!isHeldLocked(claim)) {
                throw new MdevException(
                        Errno.ENODEV, "mdev=%s was ended meanwhile".formatted(mdev.uuid()));
            }
            if (mdev.parent().presence() == Parent.Presence.LEAVING) {
                throw new MdevException(
                        Errno.ENODEV, "parent=%s is leaving".formatted(mdev.parent().name()));
            }
            entries.put(mdev.uuid(), Entry.of(mdev, owner, Activity.ACTIVE));
        } finally {
            registry.unlock();
        }
    }

    /// Changes what a device is doing.
    ///
    /// @param why what is wrong with it, if something is
    /// @return false if the device is gone, or another
    boolean become(Mdev mdev, Activity activity, Optional<String> why) {
        registry.lock();
        try {
            Entry entry = entries.get(mdev.uuid());
            if (entry == null || entry.mdev != mdev) {
                return false;
            }
            entries.put(mdev.uuid(), entry.with(activity, why));
            return true;
        } finally {
            registry.unlock();
        }
    }

    /// Frees a uuid.
    ///
    /// @return the entry that was there
    Optional<Entry> remove(UUID uuid) {
        registry.lock();
        try {
            return Optional.ofNullable(entries.remove(uuid));
        } finally {
            registry.unlock();
        }
    }

    /// Whether a parent is leaving, and nothing of it is left.
    boolean isDeserted(Parent parent) {
        registry.lock();
        try {
            return parent.presence() == Parent.Presence.LEAVING
                    && entries.values().stream()
                            .noneMatch(entry ->
                                    entry.parent == parent && entry.owner != Owner.FOREIGN);
        } finally {
            registry.unlock();
        }
    }
}
