package dev.mdev.core.device;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.Interrupts;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.hostmm.HostMemory;

import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/// All parents and mediated devices of this host (Linux `drivers/vfio/mdev/mdev_core.c`).
///
/// All methods may be called by any thread.
public final class MdevBus implements AutoCloseable {
    private final HostMemory memory;
    private final Duration callDeadline;
    private final MdevObserver observer;

    private final ReentrantLock registry = new ReentrantLock();

    @GuardedBy("registry")
    private final Map<String, Parent> parents = new LinkedHashMap<>();

    /// Devices, those that are being made or removed included: their uuids are taken.
    @GuardedBy("registry")
    private final Map<UUID, Mdev> mdevs = new LinkedHashMap<>();

    /// The devices in `mdevs` that are whole.
    @GuardedBy("registry")
    private final Map<UUID, Mdev> active = new LinkedHashMap<>();

    /// @param memory where apertures come from
    /// @param callDeadline how long a callback of a driver may take
    public MdevBus(HostMemory memory, Duration callDeadline, MdevObserver observer) {
        this.memory = memory;
        this.callDeadline = callDeadline;
        this.observer = observer;
    }

    /// Lets a driver find its devices and puts them on the bus.
    ///
    /// @param settings what the operator set for this driver
    /// @return the new parents
    /// @throws MdevException what the driver threw, EEXIST if a parent of that name is there; what
    ///   the driver found is closed then
    public List<Parent> addDriver(ParentDriver driver, Map<String, String> settings) {
        DriverCalls calls =
                new DriverCalls(
                        "driver=" + driver.name(), callDeadline, (owner, callback, nanos) -> {});
        List<ParentDevice> found =
                orThrow(calls.call("probe", () -> driver.probe(new Host(memory, settings))));
        List<Parent> added = new ArrayList<>();
        try {
            for (ParentDevice device : found) {
                added.add(addParent(driver.name(), device));
            }
            return List.copyOf(added);
        } catch (RuntimeException e) {
            added.forEach(this::forget);
            for (ParentDevice device : found) {
                closeQuietly(calls, device, e);
            }
            throw e;
        }
    }

    private Parent addParent(String driverName, ParentDevice device) {
        Parent parent = new Parent(driverName, device, callDeadline);
        registry.lock();
        try {
            if (parents.putIfAbsent(parent.name(), parent) != null) {
                throw new MdevException(Errno.EEXIST, "parent=" + parent.name());
            }
            return parent;
        } finally {
            registry.unlock();
        }
    }

    private void forget(Parent parent) {
        registry.lock();
        try {
            parents.remove(parent.name(), parent);
        } finally {
            registry.unlock();
        }
    }

    private static void closeQuietly(DriverCalls calls, ParentDevice device, Throwable because) {
        DriverOutcome<Boolean> closed =
                calls.call(
                        "close",
                        () -> {
                            device.close();
                            return true;
                        });
        if (closed instanceof DriverOutcome.Failed<Boolean> failed) {
            because.addSuppressed(new MdevException(failed.errno(), failed.reason()));
        }
    }

    public List<Parent> parents() {
        registry.lock();
        try {
            return List.copyOf(parents.values());
        } finally {
            registry.unlock();
        }
    }

    /// A parent by its name.
    ///
    /// @throws MdevException ENODEV if there is none
    public Parent parent(String name) {
        registry.lock();
        try {
            Parent parent = parents.get(name);
            if (parent == null) {
                throw new MdevException(Errno.ENODEV, "parent=" + name);
            }
            return parent;
        } finally {
            registry.unlock();
        }
    }

    /// All devices that are whole, oldest first.
    public List<Mdev> mdevs() {
        registry.lock();
        try {
            return List.copyOf(active.values());
        } finally {
            registry.unlock();
        }
    }

    /// A device by its uuid.
    public Optional<Mdev> find(UUID uuid) {
        registry.lock();
        try {
            return Optional.ofNullable(active.get(uuid));
        } finally {
            registry.unlock();
        }
    }

    /// How many more devices of the type could be created now.
    public int available(Parent parent, MdevType type) {
        int limit = type.maxInstances() - instances(parent, type);
        return limit <= 0 ? 0 : parent.capacity().available(type, limit);
    }

    private int instances(Parent parent, MdevType type) {
        registry.lock();
        try {
            return (int)
                    mdevs.values().stream()
                            .filter(mdev -> mdev.parent() == parent && mdev.type().equals(type))
                            .count();
        } finally {
            registry.unlock();
        }
    }

    /// Creates a device.
    ///
    /// @throws MdevException ENODEV or ENOENT if parent or type are not there; EEXIST if the uuid
    ///   is taken, on whatever parent; EUSERS if it does not fit; else what the driver threw.
    ///   Nothing is left behind.
    public Mdev create(UUID uuid, String parentName, String typeId) {
        Parent parent = parent(parentName);
        MdevType type = parent.type(typeId);
        Mdev mdev = reserve(uuid, parent, type);
        try {
            MdevDevice made =
                    orThrow(
                            parent.calls()
                                    .call("create", () -> parent.device().create(context(mdev))));
            bind(mdev, made);
        } catch (RuntimeException e) {
            release(mdev);
            throw e;
        }
        registry.lock();
        try {
            active.put(uuid, mdev);
        } finally {
            registry.unlock();
        }
        observer.created(mdev);
        return mdev;
    }

    private Mdev reserve(UUID uuid, Parent parent, MdevType type) {
        registry.lock();
        try {
            if (mdevs.containsKey(uuid)) {
                throw new MdevException(
                        Errno.EEXIST, "mdev=%s exists: %s".formatted(uuid, mdevs.get(uuid)));
            }
            long sameType =
                    mdevs.values().stream()
                            .filter(mdev -> mdev.parent() == parent && mdev.type().equals(type))
                            .count();
            if (sameType >= type.maxInstances()) {
                throw new MdevException(
                        Errno.EUSERS,
                        "type=%s has its most instances: %d".formatted(type.id(), sameType));
            }
            Mdev mdev = new Mdev(uuid, parent, type, parent.capacity().allocate(type), observer);
            mdevs.put(uuid, mdev);
            return mdev;
        } finally {
            registry.unlock();
        }
    }

    private void bind(Mdev mdev, MdevDevice made) {
        DriverCalls calls = mdev.parent().calls();
        try {
            mdev.bind(made, orThrow(calls.call("regions", () -> PciProfile.of(made))));
        } catch (RuntimeException e) {
            DriverOutcome<Boolean> closed =
                    calls.call(
                            "close",
                            () -> {
                                made.close();
                                return true;
                            });
            if (closed instanceof DriverOutcome.Failed<Boolean> failed) {
                e.addSuppressed(new MdevException(failed.errno(), failed.reason()));
            }
            throw e;
        }
    }

    /// Removes a device and scrubs its pages.
    ///
    /// @return what its driver said when it was closed, if that failed; the device is gone all the
    ///   same
    /// @throws MdevException ENODEV if there is none, EBUSY if it is assigned, saying to whom
    public Optional<String> remove(UUID uuid) {
        Mdev mdev = find(uuid).orElseThrow(() -> new MdevException(Errno.ENODEV, "mdev=" + uuid));
        mdev.requestRelease();
        registry.lock();
        try {
            if (active.get(uuid) != mdev) {
                throw new MdevException(Errno.ENODEV, "mdev=" + uuid);
            }
            mdev.markRemoved();
            active.remove(uuid);
        } finally {
            registry.unlock();
        }
        Optional<String> trouble = mdev.close();
        release(mdev);
        observer.removed(mdev);
        return trouble;
    }

    /// Scrubs the device's pages, gives them back, and frees its uuid: in this order, so that
    /// nobody is granted a page with another's bytes in it.
    private void release(Mdev mdev) {
        Aperture aperture = mdev.parent().device().aperture();
        for (PoolShare share : mdev.share()) {
            for (PfnRange extent : share.extents()) {
                aperture.fill(
                        Page.addressOf(extent.firstPfn() - aperture.pfns().firstPfn()),
                        Page.bytesOf(extent.npages()),
                        (byte) 0);
            }
        }
        mdev.parent().capacity().release(mdev.share());
        registry.lock();
        try {
            mdevs.remove(mdev.uuid());
        } finally {
            registry.unlock();
        }
    }

    private static <T> T orThrow(DriverOutcome<T> outcome) {
        return switch (outcome) {
            case DriverOutcome.Returned<T> returned -> returned.value();
            case DriverOutcome.Failed<T> failed ->
                    throw new MdevException(failed.errno(), failed.reason());
        };
    }

    private static MdevContext context(Mdev mdev) {
        return new MdevContext() {
            @Override
            public UUID uuid() {
                return mdev.uuid();
            }

            @Override
            public MdevType type() {
                return mdev.type();
            }

            @Override
            public List<PoolShare> share() {
                return mdev.share();
            }

            @Override
            public void revoke(int region, long firstPage, long npages) {
                mdev.revoke(region, firstPage, npages);
            }

            @Override
            public GuestMemory guestMemory() {
                return mdev.guestMemory();
            }

            @Override
            public Interrupts interrupts() {
                return mdev.interrupts();
            }
        };
    }

    /// Removes what is on the bus: devices that are not assigned, then all parents.
    ///
    /// @throws MdevException EBUSY if a device is still assigned; nothing is removed then
    @Override
    public void close() {
        for (Mdev mdev : mdevs()) {
            mdev.holder()
                    .ifPresent(who -> {
                        throw new MdevException(
                                Errno.EBUSY,
                                "mdev=%s is assigned to %s".formatted(mdev.uuid(), who));
                    });
        }
        for (Mdev mdev : mdevs()) {
            remove(mdev.uuid());
        }
        for (Parent parent : parents()) {
            Supplier<Boolean> close =
                    () -> {
                        parent.device().close();
                        return true;
                    };
            forget(parent);
            var _ = parent.calls().call("close", close);
        }
    }

    private record Host(HostMemory memory, Map<String, String> settings) implements ParentHost {
        @Override
        public Aperture allocateAperture(String name, long npages) {
            return memory.allocate(name, npages);
        }

        @Override
        public Optional<String> setting(String key) {
            return Optional.ofNullable(settings.get(key));
        }
    }
}
