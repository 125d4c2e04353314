package dev.mdev.core.device;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.PoolShare;
import dev.mdev.core.capacity.Tenant;
import dev.mdev.core.ledger.Owner;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;

/// Which parents and devices there are.
final class Registry {
    private final ReentrantLock registry = new ReentrantLock();

    @GuardedBy("registry")
    private final Map<String, Parent> parents = new LinkedHashMap<>();

    /// Devices that exist or may exist, those that are being made or ended included: their uuids
    /// are taken.
    @GuardedBy("registry")
    private final Map<UUID, Entry> entries = new LinkedHashMap<>();

    /// Parents of which nobody will find devices any more, by asking their drivers.
    @GuardedBy("registry")
    private final Set<Parent> settled = new HashSet<>();

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

    /// @throws MdevException ESHUTDOWN if the bus is closed
    void requireOpen() {
        registry.lock();
        try {
            requireOpenLocked();
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
            settled.remove(parent);
            entries.values().removeIf(entry -> entry.parent == parent);
        } finally {
            registry.unlock();
        }
    }

    /// Makes a parent usable: all its devices are known.
    ///
    /// @throws MdevException ESHUTDOWN if it is leaving, as the bus is closed
    void settle(Parent parent) {
        registry.lock();
        try {
            if (parent.presence() == Parent.Presence.LEAVING) {
                throw new MdevException(
                        Errno.ESHUTDOWN, "the bus is closed: parent=" + parent.name());
            }
            parent.setPresence(Parent.Presence.PRESENT);
            settled.add(parent);
        } finally {
            registry.unlock();
        }
    }

    /// Lets nothing new begin on a parent. It does not go before it is settled.
    void leave(Parent parent) {
        registry.lock();
        try {
            parent.setPresence(Parent.Presence.LEAVING);
        } finally {
            registry.unlock();
        }
    }

    /// The same, if nobody has a device of it.
    ///
    /// @throws MdevException EBUSY if somebody has
    void leaveIfUnused(Parent parent) {
        registry.lock();
        try {
            Parent.Presence before = parent.presence();
            // Whoever gets a device from now on sees this, and whoever got one before is seen here.
            parent.setPresence(Parent.Presence.LEAVING);
            List<String> held = heldLocked(parent);
            if (!held.isEmpty()) {
                parent.setPresence(before);
                throw new MdevException(
                        Errno.EBUSY,
                        "parent=%s has devices in use: %s"
                                .formatted(parent.name(), String.join(", ", held)));
            }
        } finally {
            registry.unlock();
        }
    }

    @GuardedBy("registry")
    private List<String> heldLocked(Parent parent) {
        List<String> held = new ArrayList<>();
        for (Entry entry : entries.values()) {
            if (entry.parent == parent && entry.mdev != null) {
                entry.mdev
                        .holder()
                        .ifPresent(who -> held.add("mdev=%s by %s".formatted(entry.uuid, who)));
            }
        }
        return held;
    }

    /// Lets nothing new begin on a parent that will not be settled: it goes when all of it that is
    /// known is gone.
    void abandon(Parent parent) {
        registry.lock();
        try {
            parent.setPresence(Parent.Presence.LEAVING);
            settled.add(parent);
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
            requirePresent(parent);
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

    private static void requirePresent(Parent parent) {
        if (parent.presence() != Parent.Presence.PRESENT) {
            throw new MdevException(
                    Errno.ENODEV, "parent=%s is %s".formatted(parent.name(), parent.presence()));
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

    /// Makes a foreign device one of ours, that its parent may not go without.
    ///
    /// @throws MdevException ENODEV if the parent is not there to be used
    void beginAdoption(Mdev mdev) {
        registry.lock();
        try {
            requirePresent(mdev.parent());
            entries.put(mdev.uuid(), Entry.of(mdev, Owner.ADOPTED, Activity.STARTING));
        } finally {
            registry.unlock();
        }
    }

    /// After [#beginAdoption]: the device is foreign still.
    ///
    /// @param foreign what was known of it
    void cancelAdoption(Mdev mdev, Entry foreign) {
        registry.lock();
        try {
            entries.computeIfPresent(
                    mdev.uuid(), (_, entry) -> entry.mdev == mdev ? foreign : entry);
        } finally {
            registry.unlock();
        }
    }

    /// Makes a new device known as active.
    ///
    /// @throws MdevException ENODEV if its parent is leaving: it must be ended then
    void activate(Mdev mdev, Owner owner) {
        registry.lock();
        try {
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

    /// Whether a parent is leaving, and nothing of it is left or will be found.
    boolean isDeserted(Parent parent) {
        registry.lock();
        try {
            return parent.presence() == Parent.Presence.LEAVING
                    && settled.contains(parent)
                    && entries.values().stream()
                            .noneMatch(entry ->
                                    entry.parent == parent && entry.owner != Owner.FOREIGN);
        } finally {
            registry.unlock();
        }
    }
}
