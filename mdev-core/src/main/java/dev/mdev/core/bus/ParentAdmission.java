package dev.mdev.core.bus;

import dev.mdev.api.Aperture;
import dev.mdev.api.ExistingDevice;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.core.device.Parent;
import dev.mdev.core.driver.DriverCalls;
import dev.mdev.core.hostmm.HostMemory;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Predicate;

/// How parents come onto the bus: a driver looks for its devices, the bus checks its description,
/// and admits all of them or none.
final class ParentAdmission {
    private final BusContext bus;
    private final HostMemory memory;
    private final ParentScan arrivals;
    private final ParentRemoval departures;

    ParentAdmission(
            BusContext bus, HostMemory memory, ParentScan arrivals, ParentRemoval departures) {
        this.bus = bus;
        this.memory = memory;
        this.arrivals = arrivals;
        this.departures = departures;
    }

    /// @see MdevBus#addDriver
    List<Parent> addDriver(ParentDriver driver, Map<String, String> settings) {
        Host host = new Host(memory, settings);
        String name = driver.name();
        DriverCalls calls =
                bus.watch()
                        .add(
                                new DriverCalls(
                                        "driver=" + name,
                                        bus.options().callDeadline(),
                                        bus.observer()::called));
        try {
            List<ParentDevice> found = calls.call("probe", () -> driver.probe(host)).orThrow();
            return admit(name, found, host, calls);
        } catch (RuntimeException | Error e) {
            // A parent whose arrival failed and that does not leave keeps its memory until it does.
            host.freeUnless(this::isOfParent);
            throw e;
        } finally {
            bus.watch().remove(calls);
        }
    }

    @SuppressWarnings("ReferenceEquality") // the very object that we gave
    private boolean isOfParent(Aperture aperture) {
        return bus.registry().parents().stream().anyMatch(parent -> parent.aperture() == aperture);
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
                bus.watch().add(parent.calls());
                added.put(parent, arrivals.inspect(parent));
            }
        } catch (RuntimeException | Error e) {
            added.keySet()
                    .forEach(parent -> {
                        bus.registry().removeParent(parent);
                        bus.watch().remove(parent.calls());
                    });
            found.forEach(device -> closeQuietly(calls, device, e));
            added.keySet().forEach(parent -> parent.exit().finish());
            throw e;
        }
        try {
            added.forEach((parent, existing) ->
                    arrivals.settle(parent, existing, host.gave(parent.aperture())));
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
        return new Parent(found, bus.options().callDeadline(), bus.observer()::called);
    }

    private static void closeQuietly(DriverCalls calls, ParentDevice device, Throwable because) {
        calls.run("close", device::close)
                .ifPresent(refusal -> because.addSuppressed(refusal.toException()));
    }

    /// The host interface for a driver while it looks for its devices.
    private static final class Host implements ParentHost {
        private final HostMemory memory;
        private final Map<String, String> settings;
        private final List<HostMemory.Block> given = new CopyOnWriteArrayList<>();

        Host(HostMemory memory, Map<String, String> settings) {
            this.memory = memory;
            this.settings = Map.copyOf(settings);
        }

        @Override
        public Aperture allocateAperture(String name, long npages) {
            HostMemory.Block block = memory.allocate(name, npages);
            given.add(block);
            return block;
        }

        @Override
        public Optional<String> setting(String key) {
            return Optional.ofNullable(settings.get(key));
        }

        /// Whether this host allocated the aperture's memory: it was all zeroes.
        boolean gave(Aperture aperture) {
            return given.stream().anyMatch(block -> block == aperture);
        }

        void free(Aperture aperture) {
            given.stream()
                    .filter(block -> block == aperture)
                    .findFirst()
                    .filter(given::remove)
                    .ifPresent(memory::free);
        }

        void freeUnless(Predicate<Aperture> used) {
            List.copyOf(given).stream().filter(used.negate()).forEach(this::free);
        }
    }
}
