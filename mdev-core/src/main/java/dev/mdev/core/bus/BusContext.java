package dev.mdev.core.bus;

import dev.mdev.api.Attribute;
import dev.mdev.api.ElasticMemory;
import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.Interrupts;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.PoolShare;
import dev.mdev.api.ReportLevel;
import dev.mdev.core.device.DriverObject;
import dev.mdev.core.device.ElasticDevice;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.Parent;
import dev.mdev.core.device.ParentException;
import dev.mdev.core.driver.CallWatchdog;
import dev.mdev.core.elastic.DeviceMemory;
import dev.mdev.core.elastic.ElasticPool;
import dev.mdev.core.ledger.DefinitionStore;
import dev.mdev.core.ledger.Ledger;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;
import dev.mdev.core.ledger.PoolRuns;
import dev.mdev.core.ledger.Subject;
import dev.mdev.core.ledger.Unfinished;
import dev.mdev.core.pci.PciProfile;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;

/// The shared parts of a bus.
///
/// @param options the options of the bus
/// @param registry the parents and devices
/// @param claims the running verbs
/// @param ledger the records
/// @param definitions the definitions
/// @param observer the receiver of reports
/// @param watch the watchdog of calls that do not return
/// @param scrubber makes pages fit for the next tenant
public record BusContext(
        BusOptions options,
        Registry registry,
        VerbLocks claims,
        Ledger ledger,
        DefinitionStore definitions,
        BusObserver observer,
        CallWatchdog watch,
        Scrubber scrubber) {

    Mdev newMdev(UUID uuid, Parent parent, MdevType type, List<PoolShare> share) {
        Mdev mdev = new Mdev(uuid, parent, type, share, observer);
        watch.add(mdev.calls());
        return mdev;
    }

    /// A new device with the pages that were taken for it.
    ///
    /// @param taken one share for each demand of the type: all of a fixed one, the minimum of an
    ///   elastic one
    /// @throws MdevException EUSERS if the elastic shares would promise too much
    Mdev admitMdev(UUID uuid, Parent parent, MdevType type, List<PoolShare> taken) {
        List<PoolShare> fixed = new ArrayList<>();
        List<DeviceMemory> elastic = new ArrayList<>();
        for (int i = 0; i < taken.size(); i++) {
            if (!type.demands().get(i).isElastic()) {
                fixed.add(taken.get(i));
            }
        }
        Mdev mdev = newMdev(uuid, parent, type, List.copyOf(fixed));
        try {
            for (int i = 0; i < taken.size(); i++) {
                MdevType.Demand demand = type.demands().get(i);
                if (demand.isElastic()) {
                    ElasticPool pool = Objects.requireNonNull(parent.elastic().get(demand.pool()));
                    elastic.add(
                            pool.admit(new ElasticDevice(mdev), demand, taken.get(i).extents()));
                }
            }
        } catch (RuntimeException | Error e) {
            elastic.forEach(DeviceMemory::end);
            watch.remove(mdev.calls());
            throw e;
        }
        mdev.bindElastic(elastic);
        return mdev;
    }

    /// Asks the driver's new object, which the device owns, for its regions.
    ///
    /// @throws MdevException if that fails or is invalid; ENODEV if the device has ended
    void bind(Mdev mdev) {
        DriverObject driver = mdev.driver();
        driver.bind(driver.ask("regions", PciProfile::of));
        if (driver.ask("isConcurrent", MdevDevice::isConcurrent)) {
            mdev.calls().allowConcurrency();
        }
        boolean cleared = driver.ask("clearedByHost", MdevDevice::clearedByHost);
        mdev.clearBeforeReset(() -> clear(mdev, cleared));
    }

    /// @param cleared whether the fixed shares are to be cleared as well
    private void clear(Mdev mdev, boolean cleared) {
        mdev.elastic().forEach(memory -> memory.discard(0, memory.npages()));
        if (cleared) {
            scrubber.clear(mdev);
        }
    }

    /// A usable parent.
    ///
    /// @throws MdevException ENODEV if there is no such parent
    Parent parent(String name) {
        return registry.parent(name)
                .orElseThrow(() ->
                        new ParentException(
                                ParentException.Reason.NO_SUCH_PARENT,
                                "parent=%s is not there".formatted(name)));
    }

    /// The definition of a device of this parent. Another program may have made a device of this
    /// uuid on another parent than the defined one: that device has no definition.
    Optional<MdevDefinition> definitionOf(UUID uuid, Parent parent) {
        return definitions.find(uuid).filter(it -> it.parent().equals(parent.name()));
    }

    /// Deletes a definition, if there is one, and records that in every verb that would delete it:
    /// a later definition is a different one, which none of them may delete.
    ///
    /// @throws MdevException the files' error
    void undefine(UUID uuid) {
        definitions.remove(uuid);
        for (Unfinished verb : ledger.unfinished()) {
            if (verb.subject().uuid().equals(uuid)) {
                ledger.step(verb.op(), Recovery.UNDEFINED);
            }
        }
    }

    /// The persistent form of a device.
    static Subject subject(Mdev mdev, Owner owner) {
        return subject(mdev, owner, mdev.share());
    }

    static Subject subject(Mdev mdev, Owner owner, List<PoolShare> share) {
        Parent parent = mdev.parent();
        return new Subject(
                mdev.uuid(),
                parent.name(),
                mdev.type().id(),
                owner,
                PoolRuns.of(share, parent.aperturePfns()));
    }

    /// @throws MdevException EINVAL if the parent's devices take no such attribute
    static void requireAttributes(Parent parent, List<Attribute> attributes) {
        for (Attribute attribute : attributes) {
            boolean taken =
                    parent.calls()
                            .call(
                                    "takesAttribute",
                                    () -> parent.device().takesAttribute(attribute.name()))
                            .orThrow();
            if (!taken) {
                throw new MdevException(
                        Errno.EINVAL,
                        "parent=%s takes no attribute=%s"
                                .formatted(parent.name(), attribute.name()));
            }
        }
    }

    MdevContext context(Mdev mdev, List<Attribute> attributes) {
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
            public List<Attribute> attributes() {
                return attributes;
            }

            @Override
            public List<PoolShare> share() {
                return mdev.share();
            }

            @Override
            public ElasticMemory elastic(String pool) {
                return mdev.elastic().stream()
                        .filter(memory -> memory.pool().equals(pool))
                        .findFirst()
                        .orElseThrow(() -> new IllegalArgumentException("pool=" + pool));
            }

            @Override
            public void revoke(int region, long firstPage, long npages) {
                mdev.revoke(region, firstPage, npages);
            }

            @Override
            public boolean runStep(Runnable step) {
                return mdev.calls().step(step);
            }

            @Override
            public void ring(int doorbell) {
                mdev.driver().doorbells().ring(doorbell);
            }

            @Override
            public void report(ReportLevel level, String text) {
                mdev.report(level, text);
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
}
