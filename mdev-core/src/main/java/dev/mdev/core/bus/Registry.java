package dev.mdev.core.bus;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.PoolShare;
import dev.mdev.core.capacity.Tenant;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.Parent;
import dev.mdev.core.ledger.Owner;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
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

    /// How many work on a parent, so that it must not go: whoever lets it arrive, looks for its
    /// devices, or scrubs its pages. None: not there.
    @GuardedBy("registry")
    private final Map<Parent, Integer> users = new HashMap<>();

    /// Goes up whenever a device is gone.
    @GuardedBy("registry")
    private long removals;

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

    /// Lets nothing new begin, if no device is assigned, and nobody get one.
    ///
    /// @throws MdevException EBUSY if one is: nothing changed then
    void beginClosing() {
        registry.lock();
        try {
            leaveIfUnusedLocked(parents.values());
            closing = true;
        } finally {
            registry.unlock();
        }
    }

    /// Adds a parent that is arriving, for who uses it until [#leaveAlone].
    ///
    /// @throws MdevException EEXIST if a parent of that name is there
    void addParent(Parent parent) {
        registry.lock();
        try {
            requireOpenLocked();
            if (parents.putIfAbsent(parent.name(), parent) != null) {
                throw new MdevException(Errno.EEXIST, "parent=" + parent.name());
            }
            users.put(parent, 1);
        } finally {
            registry.unlock();
        }
    }

    void removeParent(Parent parent) {
        registry.lock();
        try {
            parents.remove(parent.name(), parent);
            users.remove(parent);
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
        } finally {
            registry.unlock();
        }
    }

    /// Keeps a parent from going, until [#leaveAlone].
    ///
    /// @throws MdevException ENODEV if it is not there to be used
    void use(Parent parent) {
        registry.lock();
        try {
            requirePresent(parent);
            users.merge(parent, 1, Integer::sum);
        } finally {
            registry.unlock();
        }
    }

    /// Ends what [#use] or [#addParent] began. The parent may be deserted now.
    void leaveAlone(Parent parent) {
        registry.lock();
        try {
            users.computeIfPresent(parent, (_, count) -> count == 1 ? null : count - 1);
        } finally {
            registry.unlock();
        }
    }

    /// Lets nothing new begin on a parent.
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
            leaveIfUnusedLocked(List.of(parent));
        } finally {
            registry.unlock();
        }
    }

    @GuardedBy("registry")
    private void leaveIfUnusedLocked(Collection<Parent> leaving) {
        Map<Parent, Parent.Presence> before = new HashMap<>();
        leaving.forEach(parent -> before.put(parent, parent.presence()));
        // Whoever gets a device from now on sees this, and whoever got one before is seen here.
        leaving.forEach(parent -> parent.setPresence(Parent.Presence.LEAVING));
        List<String> held = new ArrayList<>();
        leaving.forEach(parent -> held.addAll(heldLocked(parent)));
        if (!held.isEmpty()) {
            before.forEach(Parent::setPresence);
            throw new MdevException(
                    Errno.EBUSY, "devices are assigned: " + String.join(", ", held));
        }
    }

    /// Who has which device of a parent. One that is being ended, or is lost, is nobody's to lose.
    @GuardedBy("registry")
    private List<String> heldLocked(Parent parent) {
        List<String> held = new ArrayList<>();
        for (Entry entry : entries.values()) {
            if (entry.parent == parent && entry.mdev != null && entry.activity == Activity.ACTIVE) {
                entry.mdev
                        .holder()
                        .ifPresent(who -> held.add("mdev=%s to %s".formatted(entry.uuid, who)));
            }
        }
        return held;
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

    /// Adds a device that was found, for who uses its parent.
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
            // Another object: who went by the former one looks again.
            Entry again = foreign.with(foreign.activity, foreign.trouble);
            entries.computeIfPresent(mdev.uuid(), (_, entry) -> entry.mdev == mdev ? again : entry);
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
            removals++;
            return Optional.ofNullable(entries.remove(uuid));
        } finally {
            registry.unlock();
        }
    }

    /// A number that goes up whenever a device is gone.
    long removals() {
        registry.lock();
        try {
            return removals;
        } finally {
            registry.unlock();
        }
    }

    /// Whether a parent is leaving, nobody works on it, and nothing of it is left that its driver
    /// made for us or handed over.
    boolean isDeserted(Parent parent) {
        registry.lock();
        try {
            return parent.presence() == Parent.Presence.LEAVING
                    && !users.containsKey(parent)
                    && entries.values().stream()
                            .noneMatch(entry -> entry.parent == parent && entry.mdev != null);
        } finally {
            registry.unlock();
        }
    }
}
