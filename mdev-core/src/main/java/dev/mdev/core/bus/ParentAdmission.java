package dev.mdev.core.bus;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.ExistingDevice;
import dev.mdev.api.FilePages;
import dev.mdev.api.MdevException;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.Reporter;
import dev.mdev.api.layout.ParentLayout;
import dev.mdev.core.device.Parent;
import dev.mdev.core.device.ParentException;
import dev.mdev.core.driver.DriverCalls;
import dev.mdev.core.driver.DriverException;
import dev.mdev.core.driver.DriverText;
import dev.mdev.core.driver.ThrottledReporter;
import dev.mdev.core.hostfile.DeviceFile;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.JoinedBlocks;
import dev.mdev.core.sys.Syscalls;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Predicate;

/// How parents come onto the bus: a driver looks for its devices, the bus checks its description,
/// and admits all of them or none.
final class ParentAdmission {
    /// Other verbs remove devices meanwhile: looking again must end.
    private static final int MAX_ROUNDS = 3;

    private final BusContext bus;
    private final HostMemory memory;
    private final ParentScan arrivals;
    private final ParentRemoval departures;

    /// The drivers that the bus was given, by their names.
    private final Map<String, Known> known = new ConcurrentHashMap<>();

    /// A driver that looks for its devices, one search at a time.
    private record Known(
            ParentDriver driver,
            Map<String, String> settings,
            ReentrantLock looking,
            AtomicBoolean asked) {}

    ParentAdmission(
            BusContext bus, HostMemory memory, ParentScan arrivals, ParentRemoval departures) {
        this.bus = bus;
        this.memory = memory;
        this.arrivals = arrivals;
        this.departures = departures;
    }

    /// @see MdevBus#addDriver
    List<Parent> addDriver(
            ParentDriver driver, Map<String, String> settings, Consumer<String> reports) {
        String name = driver.name();
        Known added = new Known(driver, settings, new ReentrantLock(), new AtomicBoolean());
        added.looking.lock();
        try {
            known.put(name, added);
            return look(name, added, _ -> true, reports);
        } finally {
            added.looking.unlock();
        }
    }

    /// Lets the drivers end what they run themselves. The bus is closed.
    void closeDrivers() {
        known.forEach((name, driver) -> {
            DriverCalls calls = callsOf(name);
            calls.run("close", driver.driver::close)
                    .ifPresent(refusal ->
                            bus.observer().event(new MdevEvent.LookFailed(name, refusal.reason())));
        });
        known.clear();
    }

    private DriverCalls callsOf(String driver) {
        return new DriverCalls(
                "driver=" + driver, bus.options().callDeadline(), bus.observer()::called);
    }

    /// @see MdevBus#rescanDriver
    List<Parent> rescanDriver(String name) {
        Known asked = known(name);
        asked.looking.lock();
        try {
            rescanParents(name);
            return look(
                    name,
                    asked,
                    _ -> true,
                    text -> bus.observer().event(new MdevEvent.LookFailed(name, text)));
        } finally {
            asked.looking.unlock();
        }
    }

    /// Again after a device is gone: another program may have made one of its uuid, on a parent
    /// that had its turn before.
    private void rescanParents(String driver) {
        long removals;
        int rounds = 0;
        do {
            removals = bus.registry().removals();
            for (Parent parent : bus.registry().parents()) {
                if (parent.driverName().equals(driver)
                        && parent.presence() == Parent.Presence.PRESENT) {
                    rescan(parent);
                }
            }
            rounds++;
        } while (bus.registry().removals() != removals && rounds < MAX_ROUNDS);
    }

    private Known known(String driver) {
        Known found = known.get(driver);
        if (found == null) {
            throw new MdevException(Errno.ENODEV, "there is no driver=" + driver);
        }
        return found;
    }

    /// @see MdevBus#findParent
    Parent findParent(String driver, String wanted) {
        Known asked = known(driver);
        List<String> reports = new CopyOnWriteArrayList<>();
        asked.looking.lock();
        try {
            bus.registry()
                    .parent(wanted)
                    .ifPresent(there -> {
                        throw new MdevException(
                                Errno.EEXIST,
                                "parent=%s is %s".formatted(wanted, there.presence()));
                    });
            return look(driver, asked, wanted::equals, reports::add).stream()
                    .filter(parent -> parent.name().equals(wanted))
                    .findFirst()
                    .orElseThrow(() ->
                            new ParentException(
                                    ParentException.Reason.NO_SUCH_PARENT,
                                    "driver=%s finds no parent=%s%s"
                                            .formatted(driver, wanted, words(reports))));
        } finally {
            asked.looking.unlock();
        }
    }

    private static String words(List<String> reports) {
        return reports.isEmpty() ? "" : ": " + DriverText.cut(String.join("; ", reports));
    }

    /// @see MdevBus#rescan
    void rescan(Parent parent) {
        try {
            arrivals.rescan(parent);
        } catch (DriverException e) {
            if (e.errno() != Errno.ENODEV) {
                throw e;
            }
            var _ = departures.begin(List.of(parent), Removal.forcing(Duration.ZERO), _ -> {});
        }
    }

    /// Looks again, soon, on a thread of its own; once for all requests until it begins.
    private void lookAgain(String name) {
        Known asked = known.get(name);
        if (asked != null && asked.asked.compareAndSet(false, true)) {
            Thread.ofVirtual().name("mdev-look-" + name).start(() -> lookNow(name, asked));
        }
    }

    private void lookNow(String name, Known asked) {
        asked.asked.set(false);
        try {
            var _ = rescanDriver(name);
        } catch (MdevException e) {
            if (e.errno() != Errno.ESHUTDOWN) {
                bus.observer().event(new MdevEvent.LookFailed(name, e.toString()));
            }
        }
    }

    /// @param wanted the names of parents that the driver is to find
    private List<Parent> look(
            String name, Known added, Predicate<String> wanted, Consumer<String> reports) {
        ParentDriver driver = added.driver;
        Host host = new Host(name, added.settings, wanted, reports);
        DriverCalls calls = bus.watch().add(callsOf(name));
        try {
            List<ParentDevice> found = calls.call("probe", () -> driver.probe(host)).orThrow();
            List<Parent> parents = admit(name, found, host, calls);
            // Of devices that the driver left out.
            host.freeUnless(this::isOfParent);
            return parents;
        } catch (RuntimeException | Error e) {
            // A parent whose arrival failed and that does not leave keeps its memory until it does.
            host.freeUnless(this::isOfParent);
            throw e;
        } finally {
            bus.watch().remove(calls);
        }
    }

    /// Whether a parent uses the memory; its aperture may be the driver's own, around ours.
    private boolean isOfParent(Aperture aperture) {
        return bus.registry().parents().stream()
                .anyMatch(parent -> parent.aperturePfns().overlaps(aperture.pfns()));
    }

    private List<Parent> admit(
            String driverName, List<ParentDevice> found, Host host, DriverCalls calls) {
        Map<Parent, List<ExistingDevice>> added = new LinkedHashMap<>();
        try {
            for (ParentDevice device : found) {
                Parent.Found its = new Parent.Found(driverName, device, host::free);
                Parent parent = calls.call("describe", () -> describe(its)).orThrow();
                bus.registry().addParent(parent);
                added.put(parent, List.of());
                parent.turns().forEach(bus.watch()::add);
                added.put(parent, arrivals.inspect(parent));
            }
        } catch (RuntimeException | Error e) {
            added.keySet()
                    .forEach(parent -> {
                        bus.registry().removeParent(parent);
                        parent.turns().forEach(bus.watch()::remove);
                    });
            found.forEach(device -> closeQuietly(calls, device, e));
            added.keySet().forEach(parent -> parent.exit().finish());
            throw e;
        }
        try {
            added.forEach((parent, existing) ->
                    arrivals.settle(parent, existing, host.gaveZeroes(parent.aperture())));
        } catch (RuntimeException | Error e) {
            // They leave when they can; the failure must be reported now.
            var _ = departures.begin(added.keySet(), Removal.forcing(Duration.ZERO), _ -> {});
            throw e;
        } finally {
            added.keySet().forEach(arrivals::endArrival);
        }
        return List.copyOf(added.keySet());
    }

    private Parent describe(Parent.Found found) {
        Parent parent = new Parent(found, bus.options().callDeadline(), bus.observer()::called);
        parent.setElastic(ElasticParts.poolsOf(parent, bus));
        parent.types().stream()
                .flatMap(type -> parent.sharedPages(type).stream())
                .distinct()
                .forEach(memory::keepConstant);
        return parent;
    }

    private static void closeQuietly(DriverCalls calls, ParentDevice device, Throwable because) {
        calls.run("close", device::close)
                .ifPresent(refusal -> because.addSuppressed(refusal.toException()));
    }

    /// The host interface for a driver while it looks for its devices.
    private final class Host implements ParentHost {
        private final String driver;
        private final Map<String, String> settings;
        private final Predicate<String> wanted;
        private final Consumer<String> reports;
        private final List<Given> given = new CopyOnWriteArrayList<>();

        Host(
                String driver,
                Map<String, String> settings,
                Predicate<String> wanted,
                Consumer<String> reports) {
            this.driver = driver;
            this.settings = Map.copyOf(settings);
            this.wanted = wanted;
            this.reports = reports;
        }

        /// An aperture of this host.
        ///
        /// @param isZero whether it was all zeroes
        private record Given(Aperture aperture, List<HostMemory.Block> blocks, boolean isZero) {
            @SuppressWarnings("ReferenceEquality") // the very object that we gave
            boolean is(Aperture other) {
                return aperture == other;
            }
        }

        /// Also if nobody asked for it: then the driver leaves it out.
        @Override
        public boolean isPresent(String parent) {
            return !wanted.test(parent) || bus.registry().parent(parent).isPresent();
        }

        @Override
        public Runnable lookAgain() {
            return () -> ParentAdmission.this.lookAgain(driver);
        }

        @Override
        public Aperture allocateAperture(String name, long npages) {
            HostMemory.Block block = memory.allocate(name, npages);
            given.add(new Given(block, List.of(block), true));
            return block;
        }

        @Override
        public Aperture mapAperture(String name, List<FilePages> parts) {
            List<HostMemory.Part> files = DeviceFile.open(Syscalls.ofThisProcess(), parts);
            JoinedBlocks joined = new JoinedBlocks(memory.adoptAll(name, files));
            given.add(new Given(joined, joined.blocks(), false));
            return joined;
        }

        @Override
        public void report(String text) {
            reports.accept(DriverText.cut(text));
        }

        @Override
        public Reporter reporterOf(String parent) {
            if (!ParentLayout.isParentName(parent)) {
                throw new MdevException(
                        Errno.EINVAL, "not the name of a parent: " + DriverText.cut(parent));
            }
            return new ThrottledReporter((level, text) ->
                    bus.observer().event(new MdevEvent.ParentReported(parent, level, text)));
        }

        @Override
        public Optional<String> setting(String key) {
            return Optional.ofNullable(settings.get(key));
        }

        /// Whether this host allocated the aperture's memory: it was all zeroes.
        boolean gaveZeroes(Aperture aperture) {
            return given.stream().anyMatch(it -> it.isZero && it.is(aperture));
        }

        void free(Aperture aperture) {
            given.stream()
                    .filter(it -> it.is(aperture))
                    .findFirst()
                    .filter(given::remove)
                    .ifPresent(it -> it.blocks.forEach(memory::free));
        }

        void freeUnless(Predicate<Aperture> used) {
            List.copyOf(given).stream()
                    .map(Given::aperture)
                    .filter(used.negate())
                    .forEach(this::free);
        }
    }
}
