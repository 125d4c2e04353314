package dev.mdev.bench;

import dev.mdev.api.page.Page;
import dev.mdev.core.bus.BusOptions;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.EngineProbe;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.GuestEngine;
import dev.mdev.core.engine.VcpuEngine;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SmmDesign;
import dev.mdev.core.store.MemoryFiles;
import dev.mdev.core.vm.AttachedDevice;
import dev.mdev.core.vm.MachineSpec;
import dev.mdev.core.vm.VirtualMachine;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/// All that a host service has, for one parent: bus, driver, machines. The benchmark runs the
/// processors by itself.
final class BenchHost implements AutoCloseable {
    static final Duration PATIENCE = Duration.ofSeconds(20);

    private final Capturing engine;
    private final HostMemory memory;
    private final MdevBus bus;
    private final List<VirtualMachine> machines = new ArrayList<>();
    private final List<Lane> lanes = new ArrayList<>();

    BenchHost(Engine engine, MemoryBackend backend, BusOptions options, BenchDriver driver) {
        this.engine = new Capturing(engine);
        memory = new HostMemory(backend);
        bus = new MdevBus(memory, new MemoryFiles(), options);
        bus.addDriver(driver, Map.of());
    }

    MdevBus bus() {
        return bus;
    }

    /// A machine with so many devices, and a processor for each.
    List<Lane> addMachine(int devices) {
        VirtualMachine vm =
                new VirtualMachine(
                        new MachineSpec("bench" + machines.size(), 0, devices), engine, memory);
        machines.add(vm);
        List<Lane> added = new ArrayList<>();
        for (int i = 0; i < devices; i++) {
            Mdev mdev = bus.create(UUID.randomUUID(), BenchDriver.PARENT, BenchDriver.TYPE);
            added.add(new Lane(vm.attach(mdev), engine.guest(), 32 + i));
        }
        lanes.addAll(added);
        return added;
    }

    @Override
    public void close() {
        lanes.forEach(Lane::close);
        machines.forEach(VirtualMachine::close);
        bus.close();
        memory.close();
    }

    /// A device, and the processor that uses it, on a thread of its own.
    static final class Lane implements AutoCloseable {
        private final AttachedDevice device;
        private final long barGpa;
        private final VcpuEngine vcpu;
        private final ExecutorService thread =
                Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().factory());

        private Lane(AttachedDevice device, GuestEngine guest, int vcpuId) {
            this.device = device;
            this.barGpa = device.barGpa(0).orElseThrow();
            this.vcpu = guest.createVcpu(vcpuId);
        }

        Mdev mdev() {
            return device.mdev();
        }

        /// Runs work on the processor's thread.
        <T> Future<T> submit(Callable<T> work) {
            return thread.submit(work);
        }

        void revokeAll() {
            device.mdev().revokeAll();
        }

        /// Stores a word to each of some neighbouring pages. Only on the processor's thread.
        void store(long firstPage, long npages, long value) {
            vcpu.submit(
                    new GuestAccess.Store(
                            new GuestAccess.Span(
                                    barGpa + Page.addressOf(firstPage), 8, npages, Page.SIZE),
                            value,
                            1));
            VcpuExit exit = vcpu.run();
            if (!(exit instanceof VcpuExit.Done)) {
                throw new IllegalStateException("page=%d %s".formatted(firstPage, exit));
            }
        }

        @Override
        public void close() {
            try {
                thread.submit(vcpu::close).get();
            } catch (InterruptedException | ExecutionException e) {
                throw new IllegalStateException(e);
            }
            thread.shutdown();
        }
    }

    /// Keeps the last guest that was made.
    private static final class Capturing implements Engine {
        private final Engine engine;
        private @Nullable GuestEngine guest;

        Capturing(Engine engine) {
            this.engine = engine;
        }

        @Override
        public String name() {
            return engine.name();
        }

        @Override
        public EngineProbe probe() {
            return engine.probe();
        }

        @Override
        public int physicalAddressBits() {
            return engine.physicalAddressBits();
        }

        @Override
        public Optional<String> lacksSmm(SmmDesign design) {
            return engine.lacksSmm(design);
        }

        @Override
        public GuestEngine createGuest(AddressSpaces slots, HostMemory memory) {
            GuestEngine made = engine.createGuest(slots, memory);
            guest = made;
            return made;
        }

        GuestEngine guest() {
            return Objects.requireNonNull(guest);
        }
    }
}
