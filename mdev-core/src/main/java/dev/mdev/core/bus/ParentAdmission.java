package dev.mdev.core.bus;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.ExistingDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.Reporter;
import dev.mdev.api.layout.ParentLayout;
import dev.mdev.core.device.Parent;
import dev.mdev.core.device.ParentException;
import dev.mdev.core.driver.DriverCalls;
import dev.mdev.core.driver.DriverException;
import dev.mdev.core.driver.DriverText;
import dev.mdev.core.driver.ThrottledReporter;
import dev.mdev.core.hostmm.HostMemory;

import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Predicate;

/// How parents come onto the bus: a driver looks for its devices, the bus checks its description,
/// and admits all of them or none.
final class ParentAdmission {
    /// Other verbs remove devices meanwhile: looking again must end.
    private static final int MAX_ROUNDS = 3;

    /// The maximum number of parents that one driver may report on: each has a rate of its own.
    private static final int MAX_REPORTERS = 1024;

    private final BusContext bus;
    private final HostMemory memory;
    private final ParentScan arrivals;
    private final ParentRemoval departures;

    /// The drivers that the bus was given, by their names.
    private final Map<String, Known> known = new ConcurrentHashMap<>();

    /// A driver that looks for its devices, one search at a time.
    ///
    /// @param asked whether a thread waits to look again
    /// @param reporters of its parents, by their names
    private record Known(
            String name,
            ParentDriver driver,
            Map<String, String> settings,
            ReentrantLock looking,
            AtomicBoolean asked,
            Map<String, Reporter> reporters) {}

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
        Known added =
                new Known(
                        driver.name(),
                        driver,
                        Map.copyOf(settings),
                        new ReentrantLock(),
                        new AtomicBoolean(),
                        new ConcurrentHashMap<>());
        added.looking.lock();
        try {
            known.put(added.name, added);
            return look(added, _ -> true, reports);
        } finally {
            added.looking.unlock();
        }
    }

    /// Lets the drivers end what they run themselves. The bus is closed. One that does not return
    /// is left behind: the process is about to end.
    void closeDrivers() {
        known.forEach((name, driver) -> {
            DriverCalls calls = callsOf(name);
            calls.callAside("close", () -> closed(driver.driver))
                    .failure()
                    .ifPresent(refusal ->
                            bus.observer().event(new MdevEvent.LookFailed(name, refusal.reason())));
        });
        known.clear();
    }

    private static boolean closed(ParentDriver driver) {
        driver.close();
        return true;
    }

    private DriverCalls callsOf(String driver) {
        return new DriverCalls(
                "driver=" + driver, bus.options().callDeadline(), bus.observer()::called);
    }

    /// @see MdevBus#rescanDriver
    List<Parent> rescanDriver(String name) {
        Known asked = known(name);
        begin(asked);
        try {
            return lookAtAll(asked);
        } finally {
            asked.looking.unlock();
        }
    }

    /// Waits for another search of the driver, which may be stuck.
    ///
    /// @throws MdevException EAGAIN if that does not end within the deadline of a callback
    private void begin(Known asked) {
        Duration deadline = bus.options().callDeadline();
        try {
            if (asked.looking.tryLock(deadline.toNanos(), TimeUnit.NANOSECONDS)) {
                return;
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new MdevException(
                    Errno.EINTR, "interrupted while driver=%s looks".formatted(asked.name), e);
        }
        throw new MdevException(
                Errno.EAGAIN,
                "driver=%s has been looking for its devices for more than %d ms"
                        .formatted(asked.name, deadline.toMillis()));
    }

    /// The caller has the search.
    private List<Parent> lookAtAll(Known asked) {
        rescanParents(asked.name);
        return look(
                asked,
                _ -> true,
                text -> bus.observer().event(new MdevEvent.LookFailed(asked.name, text)));
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
        begin(asked);
        try {
            bus.registry()
                    .parent(wanted)
                    .ifPresent(there -> {
                        throw new MdevException(
                                Errno.EEXIST,
                                "parent=%s is %s".formatted(wanted, there.presence()));
                    });
            return look(asked, wanted::equals, reports::add).stream()
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
    private void lookAgain(Known asked) {
        if (known.containsKey(asked.name) && asked.asked.compareAndSet(false, true)) {
            Thread.ofVirtual().name("mdev-look-" + asked.name).start(() -> lookNow(asked));
        }
    }

    private void lookNow(Known asked) {
        asked.looking.lock();
        try {
            // Not earlier: while this waits for another search, one request is as good as many.
            asked.asked.set(false);
            if (known.containsKey(asked.name)) {
                var _ = lookAtAll(asked);
            }
        } catch (MdevException e) {
            if (e.errno() != Errno.ESHUTDOWN) {
                bus.observer().event(new MdevEvent.LookFailed(asked.name, e.toString()));
            }
        } finally {
            asked.looking.unlock();
        }
    }

    /// The one reporter of a parent, so that a driver that asks for it again tells no more.
    private Reporter reporterOf(Known asked, String parent) {
        if (!ParentLayout.isParentName(parent)) {
            throw new MdevException(
                    Errno.EINVAL, "not the name of a parent: " + DriverText.cut(parent));
        }
        if (asked.reporters.size() >= MAX_REPORTERS && !asked.reporters.containsKey(parent)) {
            throw new MdevException(
                    Errno.EUSERS,
                    "driver=%s reports on %d parents, parent=%s is one too many"
                            .formatted(asked.name, MAX_REPORTERS, parent));
        }
        return asked.reporters.computeIfAbsent(
                parent,
                name ->
                        new ThrottledReporter((level, text) ->
                                bus.observer()
                                        .event(new MdevEvent.ParentReported(name, level, text))));
    }

    /// @param wanted the names of parents that the driver is to find
    private List<Parent> look(Known asked, Predicate<String> wanted, Consumer<String> reports) {
        ParentDriver driver = asked.driver;
        ProbeHost host =
                new ProbeHost(
                        memory,
                        new ProbeHost.Search(
                                asked.name,
                                asked.settings,
                                // Also if nobody asked for it: then the driver leaves it out.
                                name ->
                                        !wanted.test(name)
                                                || bus.registry().parent(name).isPresent(),
                                reports,
                                name -> reporterOf(asked, name),
                                () -> lookAgain(asked)));
        DriverCalls calls = bus.watch().add(callsOf(asked.name));
        try {
            List<Parent> parents = admit(asked.name, probe(driver, host, calls), host, calls);
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

    /// @return the driver's list as it was at the end of the call, perhaps with null in it
    private static List<ParentDevice> probe(
            ParentDriver driver, ProbeHost host, DriverCalls calls) {
        try {
            List<ParentDevice> found = calls.call("probe", () -> driver.probe(host)).orThrow();
            return calls.call("probe", () -> new ArrayList<>(found)).orThrow();
        } finally {
            host.end();
        }
    }

    /// Whether a parent uses the memory; its aperture may be the driver's own, around ours.
    private boolean isOfParent(Aperture aperture) {
        return bus.registry().parents().stream()
                .anyMatch(parent -> parent.aperturePfns().overlaps(aperture.pfns()));
    }

    private List<Parent> admit(
            String driverName, List<ParentDevice> found, ProbeHost host, DriverCalls calls) {
        Map<Parent, List<ExistingDevice>> added = new LinkedHashMap<>();
        try {
            for (ParentDevice device : found) {
                Parent.Found its = new Parent.Found(driverName, device, host::free);
                Parent parent = calls.call("describe", () -> describe(its)).orThrow();
                bus.registry().addParent(parent);
                added.put(parent, List.of());
                keepConstant(parent);
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
        return parent;
    }

    /// Once the parent's pages are known to be no other parent's.
    private void keepConstant(Parent parent) {
        parent.types().stream()
                .flatMap(type -> parent.sharedPages(type).stream())
                .distinct()
                .forEach(memory::keepConstant);
    }

    private static void closeQuietly(DriverCalls calls, ParentDevice device, Throwable because) {
        // The call also takes the failure of a null in the driver's list.
        calls.run("close", () -> device.close())
                .ifPresent(refusal -> because.addSuppressed(refusal.toException()));
    }
}
