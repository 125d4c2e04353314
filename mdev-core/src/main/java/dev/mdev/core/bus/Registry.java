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
import dev.mdev.core.device.ParentException;
import dev.mdev.core.ledger.Owner;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;

/// The parents and devices.
final class Registry {
    private final ReentrantLock registry = new ReentrantLock();

    @GuardedBy("registry")
    private final Map<String, Parent> parents = new LinkedHashMap<>();

    /// Devices that exist or may exist, including those that are being created or ended: their
    /// uuids are in use.
    @GuardedBy("registry")
    private final Map<UUID, Entry> entries = new LinkedHashMap<>();

    /// The number of users of a parent that it must wait for: threads that admit it, look for its
    /// devices, or scrub its pages. Absent means none.
    @GuardedBy("registry")
    private final Map<Parent, Integer> users = new HashMap<>();

    /// Goes up whenever a device is gone.
    private final AtomicLong removals = new AtomicLong();

    @GuardedBy("registry")
    private boolean closing;

    /// A device that exists or may exist.
    ///
    /// @param mdev the usable device; null if it is not ours to use
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
            return mdev == null
                    ? share.stream().mapToLong(PoolShare::npages).sum()
                    : mdev.heldPages();
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

    /// Blocks all new verbs and assignments, if no device is assigned.
    ///
    /// @throws MdevException EBUSY if a device is assigned: nothing changed then
    void beginClosing() {
        registry.lock();
        try {
            leaveIfUnusedLocked(parents.values());
            closing = true;
        } finally {
            registry.unlock();
        }
    }

    /// Adds an arriving parent, for its user until [#endUse].
    ///
    /// @throws MdevException EEXIST if a parent of that name exists
    void addParent(Parent parent) {
        registry.lock();
        try {
            requireOpenLocked();
            if (parents.containsKey(parent.name())) {
                throw new MdevException(Errno.EEXIST, "parent=" + parent.name());
            }
            parents.values().forEach(parent::requireApart);
            parents.put(parent.name(), parent);
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
    /// @throws MdevException ESHUTDOWN if it is leaving because the bus is closed
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

    /// Keeps a parent from leaving, until [#endUse].
    ///
    /// @throws MdevException ENODEV if it is not usable
    void use(Parent parent) {
        registry.lock();
        try {
            requirePresent(parent);
            users.merge(parent, 1, Integer::sum);
        } finally {
            registry.unlock();
        }
    }

    /// Ends the use of [#use] or [#addParent]. The parent may be empty now.
    void endUse(Parent parent) {
        registry.lock();
        try {
            users.computeIfPresent(parent, (_, count) -> count == 1 ? null : count - 1);
        } finally {
            registry.unlock();
        }
    }

    /// Blocks new verbs on a parent.
    void leave(Parent parent) {
        registry.lock();
        try {
            parent.setPresence(Parent.Presence.LEAVING);
        } finally {
            registry.unlock();
        }
    }

    /// The same, if no device of it has a holder.
    ///
    /// @throws MdevException EBUSY if one has
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
        // Every later assignment sees this, and this sees every earlier assignment.
        leaving.forEach(parent -> parent.setPresence(Parent.Presence.LEAVING));
        List<String> held = new ArrayList<>();
        for (Parent parent : leaving) {
            held.addAll(heldLocked(parent));
        }
        if (!held.isEmpty()) {
            before.forEach(Parent::setPresence);
            throw new MdevException(
                    Errno.EBUSY, "devices are assigned: " + String.join(", ", held));
        }
    }

    /// The holders of a parent's devices. Devices that are ending or lost are excluded.
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
            return parents.values().stream().sorted(Comparator.comparing(Parent::name)).toList();
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

    /// The number of devices of a type on a parent, of all owners.
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

    /// Reserves a uuid and the pages of a new device.
    ///
    /// @throws MdevException EEXIST if the uuid is in use, on any parent; ENODEV if the parent is
    ///   not usable; EUSERS if the device does not fit
    Mdev reserve(UUID uuid, Parent parent, MdevType type, Function<List<PoolShare>, Mdev> make) {
        registry.lock();
        try {
            requireRoomLocked(uuid, parent, type);
            Tenant tenant = new Tenant.Device(uuid);
            List<PoolShare> taken = parent.capacity().allocate(type, tenant);
            Mdev mdev;
            try {
                mdev = make.apply(taken);
            } catch (RuntimeException | Error e) {
                parent.capacity().release(taken, tenant);
                throw e;
            }
            entries.put(uuid, Entry.of(mdev, Owner.OURS, Activity.STARTING));
            return mdev;
        } finally {
            registry.unlock();
        }
    }

    /// Refuses what [#reserve] would refuse now, apart from pages.
    void requireRoom(UUID uuid, Parent parent, MdevType type) {
        registry.lock();
        try {
            requireRoomLocked(uuid, parent, type);
        } finally {
            registry.unlock();
        }
    }

    @GuardedBy("registry")
    private void requireRoomLocked(UUID uuid, Parent parent, MdevType type) {
        requireFreeLocked(uuid);
        requirePresent(parent);
        int sameType = instancesLocked(parent, type);
        if (sameType >= type.maxInstances()) {
            throw new MdevException(
                    Errno.EUSERS,
                    "type=%s has the maximum number of instances: %d"
                            .formatted(type.id(), sameType));
        }
    }

    private static void requirePresent(Parent parent) {
        if (parent.presence() != Parent.Presence.PRESENT) {
            throw ParentException.notPresent(parent.name(), parent.presence().toString());
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

    /// Adds a device that was found, for a user of its parent.
    ///
    /// @throws MdevException EEXIST if the uuid is in use
    void add(Entry entry) {
        registry.lock();
        try {
            requireFreeLocked(entry.uuid);
            entries.put(entry.uuid, entry);
        } finally {
            registry.unlock();
        }
    }

    /// Makes a foreign device one of ours, so that its parent waits for it.
    ///
    /// @throws MdevException ENODEV if the parent is not usable
    void beginAdoption(Mdev mdev) {
        registry.lock();
        try {
            requirePresent(mdev.parent());
            entries.put(mdev.uuid(), Entry.of(mdev, Owner.ADOPTED, Activity.STARTING));
        } finally {
            registry.unlock();
        }
    }

    /// After [#beginAdoption]: the device is still foreign.
    ///
    /// @param foreign its entry before
    void cancelAdoption(Mdev mdev, Entry foreign) {
        registry.lock();
        try {
            // A new object: users of the former one look it up again.
            Entry again = foreign.with(foreign.activity, foreign.trouble);
            entries.computeIfPresent(mdev.uuid(), (_, entry) -> entry.mdev == mdev ? again : entry);
        } finally {
            registry.unlock();
        }
    }

    /// Makes a new device known as active.
    ///
    /// @throws MdevException ENODEV if its parent is leaving: the caller must end it then
    void activate(Mdev mdev, Owner owner) {
        registry.lock();
        try {
            if (mdev.parent().presence() == Parent.Presence.LEAVING) {
                throw ParentException.notPresent(mdev.parent().name(), "leaving");
            }
            entries.put(mdev.uuid(), Entry.of(mdev, owner, Activity.ACTIVE));
        } finally {
            registry.unlock();
        }
    }

    /// Changes a device's activity.
    ///
    /// @param why its problem, if any
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
    /// @return the former entry
    Optional<Entry> remove(UUID uuid) {
        registry.lock();
        try {
            removals.incrementAndGet();
            return Optional.ofNullable(entries.remove(uuid));
        } finally {
            registry.unlock();
        }
    }

    /// A number that goes up whenever a device is gone.
    long removals() {
        return removals.get();
    }

    /// Whether a parent is leaving, has no users, and has no device left that its driver created
    /// for us or handed over.
    boolean isReadyToClose(Parent parent) {
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
