package dev.mdev.host.machine;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.machinestate.SaveReport;
import dev.mdev.core.vm.AttachedDevice;
import dev.mdev.core.vm.MachineRestore;
import dev.mdev.core.vm.MachineSpec;
import dev.mdev.core.vm.VirtualMachine;
import dev.mdev.host.access.Caller;
import dev.mdev.host.access.Claims;
import dev.mdev.host.access.Cost;
import dev.mdev.host.access.Subject;
import dev.mdev.host.event.Event;
import dev.mdev.host.event.EventLog;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import jakarta.annotation.PreDestroy;

import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.stereotype.Service;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.stream.Stream;

/// The machines of this host, within the limits.
///
/// Any thread may call all methods.
@Service
public class MachineService {
    private static final Logger log = LoggerFactory.getLogger(MachineService.class);

    private final Engine engine;
    private final HostMemory memory;
    private final MachineProperties properties;
    private final ExternalSockets sockets;
    private final MachineRecords records;
    private final EventLog events;
    private final Claims claims;
    private final List<MachineWatcher> watchers;

    private final ReentrantLock registry = new ReentrantLock();

    /// By name, in the order of creation; includes machines under construction.
    @GuardedBy("registry")
    private final Map<String, Entry> machines = new LinkedHashMap<>();

    MachineService(
            Engine engine,
            HostMemory memory,
            MachineProperties properties,
            ExternalSockets sockets,
            MachineRecords records,
            EventLog events,
            Claims claims,
            List<MachineWatcher> watchers) {
        this.watchers = List.copyOf(watchers);
        this.engine = engine;
        this.memory = memory;
        this.properties = properties;
        this.sockets = sockets;
        this.records = records;
        this.events = events;
        this.claims = claims;
        for (MachineRecords.Recorded it : records.all()) {
            ExternalMachine former = new ExternalMachine(it.name(), it.access(), records);
            machines.put(it.name(), new Entry(former.spec(), null, former));
        }
    }

    /// Whether the name is in use.
    boolean exists(String name) {
        registry.lock();
        try {
            return machines.containsKey(name);
        } finally {
            registry.unlock();
        }
    }

    /// A taken name.
    ///
    /// @param machine null while it is being made, and for an external machine
    /// @param external null for any other machine
    private record Entry(
            MachineSpec spec,
            @Nullable VirtualMachine machine,
            @Nullable ExternalMachine external) {}

    List<VirtualMachine> list() {
        return each(Entry::machine);
    }

    /// The machines of other programs.
    List<ExternalMachine> externals() {
        return each(Entry::external);
    }

    private <T> List<T> each(Function<Entry, @Nullable T> part) {
        registry.lock();
        try {
            return machines.values().stream()
                    .flatMap(entry -> Stream.ofNullable(part.apply(entry)))
                    .toList();
        } finally {
            registry.unlock();
        }
    }

    /// The number of machines.
    public int count() {
        return list().size() + externals().size();
    }

    /// The machine of another program by its name; nothing if there is none, or it is another kind
    /// of machine.
    Optional<ExternalMachine> external(String name) {
        return externals().stream().filter(it -> it.name().equals(name)).findFirst();
    }

    /// The same.
    ///
    /// @throws ProblemException if there is none, or it is another kind of machine
    ExternalMachine getExternal(String name) {
        return external(name)
                .orElseThrow(() ->
                        new ProblemException(
                                Problem.WRONG_STATE,
                                "machine=%s is no external machine"
                                        .formatted(get(name).spec().name())));
    }

    /// A machine by its name.
    ///
    /// @throws ProblemException if there is none, or another program runs it
    VirtualMachine get(String name) {
        registry.lock();
        try {
            Entry entry = machines.get(name);
            if (entry != null && entry.external != null) {
                throw new ProblemException(
                        Problem.WRONG_STATE,
                        "machine=%s is external: another program runs it".formatted(name));
            }
            if (entry == null || entry.machine == null) {
                throw ProblemException.notFound("there is no machine=" + name);
            }
            return entry.machine;
        } finally {
            registry.unlock();
        }
    }

    /// Makes a machine.
    ///
    /// @throws MdevException EEXIST if the name is in use, EUSERS if a limit is reached; otherwise
    ///   the engine's error
    VirtualMachine create(MachineSpec spec) {
        VirtualMachine made;
        try (Reserved reserved = reserve(spec)) {
            made = reserved.make();
            reserved.complete();
        }
        events.add(Event.Kind.MACHINE_CREATED, subjectOf(spec.name()), spec.toString());
        return made;
    }

    /// Takes the name and the quota of a new machine.
    ///
    /// @throws MdevException EEXIST if the name is in use, EUSERS if a limit is reached
    Reserved reserve(MachineSpec spec) {
        Claims.Making making = claim(spec);
        try {
            reserveName(spec, null);
        } catch (RuntimeException | Error e) {
            making.close();
            throw e;
        }
        return new Reserved(spec, making);
    }

    /// The place of a machine, until it is complete. Unless it is completed before its end, the
    /// place is free again. One thread.
    final class Reserved implements AutoCloseable {
        private final MachineSpec spec;
        private final Claims.Making making;
        private @Nullable VirtualMachine made;
        private boolean done;

        Reserved(MachineSpec spec, Claims.Making making) {
            this.spec = spec;
            this.making = making;
        }

        /// Makes the machine. Others do not find it yet.
        ///
        /// @throws MdevException the engine's error
        VirtualMachine make() {
            VirtualMachine machine = new VirtualMachine(spec, engine, memory);
            made = machine;
            return machine;
        }

        /// From now on, the machine is there for all.
        void complete() {
            VirtualMachine machine = Objects.requireNonNull(made);
            settle(spec, machine);
            making.settle();
            done = true;
            watchers.forEach(watcher -> watcher.made(machine));
        }

        @Override
        public void close() {
            if (!done) {
                settle(spec, null);
            }
            making.close();
        }
    }

    /// Tells that a machine was saved.
    void saved(VirtualMachine machine, SaveReport report) {
        watchers.forEach(watcher -> watcher.saved(machine, report));
        events.add(
                Event.Kind.MACHINE_SAVED,
                subjectOf(machine.spec().name()),
                "rounds=%d pages=%d stoppedPages=%d stopMicros=%d"
                        .formatted(
                                report.rounds(),
                                report.pages(),
                                report.stoppedPages(),
                                TimeUnit.NANOSECONDS.toMicros(report.stopNanos())));
    }

    /// Tells that a machine was restored.
    void restored(MachineRestore.Restored restored) {
        events.add(
                Event.Kind.MACHINE_RESTORED,
                subjectOf(restored.machine().spec().name()),
                "from=%s devices=%d"
                        .formatted(restored.header().name(), restored.header().devices().size()));
    }

    /// Makes a machine that another program runs, and writes it down.
    ///
    /// @throws MdevException EEXIST if the name is in use, EUSERS if a limit is reached, or the
    ///   files' error
    ExternalMachine createExternal(String name, SocketAccess access) {
        ExternalMachine made = new ExternalMachine(name, access, records);
        try (Claims.Making making = claim(made.spec())) {
            reserveName(made.spec(), made);
            try {
                records.made(name, access);
            } catch (RuntimeException e) {
                settle(made.spec(), null);
                throw e;
            }
            making.settle();
        }
        events.add(Event.Kind.MACHINE_CREATED, subjectOf(name), NewMachine.EXTERNAL);
        return made;
    }

    private Claims.Making claim(MachineSpec spec) {
        return claims.claim(
                Subject.machine(spec.name()), Caller.current(), Cost.ofMachine(spec.ramBytes()));
    }

    /// @param external null for a machine that this service runs
    private void reserveName(MachineSpec spec, @Nullable ExternalMachine external) {
        registry.lock();
        try {
            requireRoomLocked(spec, external != null);
            machines.put(spec.name(), new Entry(spec, null, external));
        } finally {
            registry.unlock();
        }
    }

    /// Refuses what [#create] and [#createExternal] would refuse now, as far as the host knows that
    /// without the engine.
    void check(NewMachine asked) {
        MachineSpec spec = asked.isExternal() ? ExternalMachine.specOf(asked.name()) : asked.spec();
        claims.check(
                Subject.machine(spec.name()), Caller.current(), Cost.ofMachine(spec.ramBytes()));
        registry.lock();
        try {
            requireRoomLocked(spec, asked.isExternal());
        } finally {
            registry.unlock();
        }
    }

    /// @throws MdevException EEXIST if the name is in use
    void requireFree(String name) {
        registry.lock();
        try {
            requireFreeLocked(name);
        } finally {
            registry.unlock();
        }
    }

    @GuardedBy("registry")
    private void requireFreeLocked(String name) {
        if (machines.containsKey(name)) {
            throw new MdevException(Errno.EEXIST, "machine=%s exists already".formatted(name));
        }
    }

    @GuardedBy("registry")
    private void requireRoomLocked(MachineSpec spec, boolean isExternal) {
        requireFreeLocked(spec.name());
        List<MachineSpec> guests =
                machines.values().stream()
                        .filter(entry -> entry.external == null)
                        .map(Entry::spec)
                        .toList();
        properties.requireRoom(spec, isExternal, guests, machines.size());
    }

    private void settle(MachineSpec spec, @Nullable VirtualMachine made) {
        registry.lock();
        try {
            machines.compute(
                    spec.name(), (_, _) -> made == null ? null : new Entry(spec, made, null));
        } finally {
            registry.unlock();
        }
    }

    /// Ends a machine: stops its processors, detaches its devices. Its name becomes free only after
    /// all of that, so that the caller can repeat the call after a failure.
    ///
    /// @throws MdevException ETIMEDOUT if a processor is stuck in a driver's callback
    void delete(String name) {
        ExternalMachine external = external(name).orElse(null);
        VirtualMachine machine = external == null ? get(name) : null;
        if (external != null) {
            external.delete();
        } else if (machine != null) {
            machine.close();
        }
        registry.lock();
        try {
            Entry entry = machines.get(name);
            if (entry == null || entry.machine != machine || entry.external != external) {
                return;
            }
            machines.remove(name);
        } finally {
            registry.unlock();
        }
        if (machine != null) {
            watchers.forEach(watcher -> watcher.gone(machine));
        }
        events.add(Event.Kind.MACHINE_DELETED, subjectOf(name), "");
    }

    /// Attaches a device to a machine.
    ///
    /// @return its place, and whether this call attached it
    /// @throws MdevException as [VirtualMachine#attach]
    Attached attach(String name, Mdev mdev) {
        VirtualMachine machine = get(name);
        AttachedDevice there = machine.device(mdev.uuid()).orElse(null);
        // A device that was removed and created again is a different one: its former self must be
        // detached first.
        if (there != null && there.mdev() == mdev) {
            return new Attached(there, false);
        }
        AttachedDevice device = machine.attach(mdev);
        events.add(Event.Kind.MDEV_ATTACHED, "mdevs/" + mdev.uuid(), "machine=" + name);
        return new Attached(device, true);
    }

    /// Attaches a device to a machine of another program.
    ///
    /// @return its socket, and whether this call made it
    /// @throws MdevException as [ExternalMachine#attach]
    ExternalMachine.Attached attachExternal(String name, Mdev mdev) {
        ExternalMachine machine = getExternal(name);
        ExternalMachine.Attached attached =
                machine.attach(mdev, which -> sockets.open(machine, which));
        if (attached.now()) {
            events.add(
                    Event.Kind.MDEV_ATTACHED,
                    "mdevs/" + mdev.uuid(),
                    "machine=%s socket=%s".formatted(name, attached.socket().path()));
        }
        return attached;
    }

    /// The result of [#attach].
    record Attached(AttachedDevice device, boolean now) {}

    /// A device in a machine.
    ///
    /// @throws MdevException ENODEV if it is not there
    AttachedDevice device(String name, UUID uuid) {
        return get(name)
                .device(uuid)
                .orElseThrow(() ->
                        new MdevException(
                                Errno.ENODEV,
                                "machine=%s does not have mdev=%s".formatted(name, uuid)));
    }

    /// Detaches a device from a machine.
    ///
    /// @throws MdevException ENODEV if it is not attached
    void detach(String name, UUID uuid) {
        ExternalMachine external = external(name).orElse(null);
        if (external != null) {
            external.detach(uuid);
        } else {
            get(name).detach(uuid);
        }
        events.add(Event.Kind.MDEV_DETACHED, "mdevs/" + uuid, "machine=" + name);
    }

    private static String subjectOf(String name) {
        return "machines/" + name;
    }

    @PreDestroy
    void closeAll() {
        list().forEach(MachineService::close);
        externals().forEach(MachineService::close);
    }

    private static void close(AutoCloseable machine) {
        try {
            machine.close();
        } catch (Exception e) {
            log.warn("left running at the end of the service: {}", e.toString());
        }
    }
}
