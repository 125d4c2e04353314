package dev.mdev.core.vm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.device.DeviceHolder;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.GuestEngine;
import dev.mdev.core.engine.VcpuEngine;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SmmDesign;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicReference;

/// A virtual machine: RAM, processors, and assigned devices, on an engine.
///
/// Any thread may call all methods, except a processor's, and except inside a driver's callback.
public final class VirtualMachine implements AutoCloseable {
    private static final Duration VCPU_CLOSE_TIMEOUT = Duration.ofSeconds(5);

    private final MachineSpec spec;
    private final String engineName;
    private final HostMemory memory;
    private final MachineAddresses addresses;
    private final AddressSpaces slots;
    private final GuestEngine guest;
    private final MemoryLayout layout;
    private final MachineDirtyLog dirtyLog;
    private final List<Vcpu> vcpus;
    private final HostMemory.@Nullable Block ram;

    private final MachineDevices devices;
    private final Operations operations;
    private final DeviceHolder holder = new Holder();

    /// The thread that holds all programs, or null.
    private final AtomicReference<@Nullable Thread> holdingThread = new AtomicReference<>();

    /// @throws MdevException ENOMEM if the memory is not available, EINVAL if the RAM reaches into
    ///   the addresses of BARs, EOPNOTSUPP if the engine does not have the system management mode;
    ///   otherwise the engine's error
    public VirtualMachine(MachineSpec spec, Engine engine, HostMemory memory) {
        this.spec = spec;
        this.engineName = engine.name();
        this.memory = memory;
        addresses = new MachineAddresses(engine.physicalAddressBits());
        if (spec.ramEndGpa() > addresses.barWindowGpa()) {
            throw new MdevException(
                    Errno.EINVAL,
                    "ramBytes=%d reach beyond 0x%x, where BARs begin: %s"
                            .formatted(spec.ramBytes(), addresses.barWindowGpa(), addresses));
        }
        engine.lacksSmm(spec.smm())
                .ifPresent(reason -> {
                    throw new MdevException(
                            Errno.EOPNOTSUPP,
                            "smm=%s engine=%s: %s".formatted(spec.smm(), engine.name(), reason));
                });
        slots = new AddressSpaces(SlotConfig.of(spec.smm()).withMaxGfn(addresses.maxGfn()));
        operations = new Operations("machine=" + spec.name());
        ram =
                spec.ramBytes() == 0
                        ? null
                        : memory.allocate("ram of " + spec.name(), Page.numberOf(spec.ramBytes()));
        HostBridge bridge = new HostBridge();
        PciBus bus = new PciBus(spec.smm() == SmmDesign.NONE ? null : bridge);
        GuestEngine made = null;
        List<Vcpu> started = new ArrayList<>();
        try {
            made = engine.createGuest(slots, memory);
            HvaRange host =
                    ram == null
                            ? null
                            : made.hostMm().mapEagerly(ram.pfns(), Prot.READ_WRITE).range();
            layout =
                    new MemoryLayout(
                            spec,
                            addresses,
                            new MemoryLayout.Guest(slots, made, host),
                            bridge,
                            bus);
            bus.onBridgeChange(layout::settleBridge);
            dirtyLog = new MachineDirtyLog(slots, made, layout, operations);
            if (host != null) {
                dirtyLog.add(host, new DirtyPages.Of.Ram());
            }
            for (int id = 0; id < spec.vcpus(); id++) {
                started.add(startVcpu(id, made));
            }
        } catch (RuntimeException | Error e) {
            started.forEach(vcpu -> vcpu.close(VCPU_CLOSE_TIMEOUT));
            if (made != null) {
                made.close();
            }
            freeRam();
            throw e;
        }
        guest = made;
        vcpus = List.copyOf(started);
        devices =
                new MachineDevices(
                        spec,
                        addresses,
                        new MachineDevices.Memory(slots, guest, layout, dirtyLog),
                        bus);
    }

    private Vcpu startVcpu(int id, GuestEngine engine) {
        return new Vcpu(
                spec.name() + "-vcpu" + id,
                id,
                new Vcpu.Processors(
                        () -> createVcpu(engine, id), engine.ringCollector()::collectFull),
                layout.mmio());
    }

    private VcpuEngine createVcpu(GuestEngine engine, int id) {
        VcpuEngine made = engine.createVcpu(id);
        try {
            if (spec.smm() != SmmDesign.NONE) {
                made.setSmbase(SmramRegions.smbaseOf(id));
            }
            return made;
        } catch (RuntimeException | Error e) {
            made.close();
            throw e;
        }
    }

    public MachineSpec spec() {
        return spec;
    }

    public String engineName() {
        return engineName;
    }

    /// Where it has BARs and configuration space.
    public MachineAddresses addresses() {
        return addresses;
    }

    /// The machine's memory slots.
    public AddressSpaces slots() {
        return slots;
    }

    public List<Vcpu> vcpus() {
        return vcpus;
    }

    /// A processor by its number.
    ///
    /// @throws MdevException EINVAL if the machine has no such processor
    public Vcpu vcpu(int id) {
        if (id < 0 || id >= vcpus.size()) {
            throw new MdevException(Errno.EINVAL, "machine=%s vcpu=%d".formatted(spec.name(), id));
        }
        return vcpus.get(id);
    }

    /// The devices in the machine, in the order of attachment.
    public List<AttachedDevice> devices() {
        return devices.all();
    }

    public Optional<AttachedDevice> device(UUID uuid) {
        return devices.find(uuid);
    }

    /// Attaches a device and plays its firmware: each BAR gets an address, and memory decoding and
    /// bus mastering are turned on. Lazy areas are reserved, eager ones mapped.
    ///
    /// @throws MdevException EBUSY if the device has a holder, ESHUTDOWN if the machine is closed,
    ///   ENOMEM or ENOSPC if there is no room; the device is then as before
    public AttachedDevice attach(Mdev mdev) {
        return attach(mdev, AttachOptions.DEFAULT);
    }

    /// Attaches a device.
    ///
    /// @throws MdevException EBUSY if the device has a holder, ESHUTDOWN if the machine is closed,
    ///   ENOMEM or ENOSPC if there is no room; the device is then as before
    public AttachedDevice attach(Mdev mdev, AttachOptions options) {
        operations.begin();
        try {
            AttachedDevice device = devices.plug(mdev, holder, options);
            try {
                if (options.firmware()) {
                    device.runFirmware();
                }
                device.mappingFailure()
                        .ifPresent(failure -> {
                            throw failure;
                        });
                mdev.resumeRestored();
            } catch (RuntimeException | Error e) {
                var _ = devices.takeOut(device);
                throw e;
            }
            return device;
        } finally {
            operations.end();
        }
    }

    /// Attaches a restored device as its guest had set it up, and lets it continue.
    ///
    /// @throws MdevException EINVAL or EEXIST if the place is impossible or taken; otherwise as
    ///   [dev.mdev.core.pci.PciFunction#restoreState] and [#attach]
    AttachedDevice attachRestored(Mdev mdev, RestoredPlace place) {
        operations.begin();
        try {
            AttachedDevice device = devices.plug(mdev, holder, AttachOptions.DEFAULT, place);
            try {
                device.function().restoreState(place.function());
                device.mappingFailure()
                        .ifPresent(failure -> {
                            throw failure;
                        });
                mdev.resumeRestored();
            } catch (RuntimeException | Error e) {
                var _ = devices.takeOut(device);
                throw e;
            }
            return device;
        } finally {
            operations.end();
        }
    }

    /// Detaches a device. When it returns, no guest access reaches it, and it reaches no memory of
    /// the guest.
    ///
    /// @throws MdevException ENODEV if it is not in this machine, ESHUTDOWN if the machine is
    ///   closed
    public void detach(UUID uuid) {
        operations.begin();
        try {
            if (device(uuid).filter(devices::takeOut).isEmpty()) {
                throw new MdevException(
                        Errno.ENODEV, "mdev=%s is not in machine=%s".formatted(uuid, spec.name()));
            }
        } finally {
            operations.end();
        }
    }

    /// Changes memory slots under which devices may have pinned pages: calls their drivers first.
    ///
    /// @param leaving guest frames whose memory is removed or moved
    /// @param change changes the slots; runs when nothing there is pinned, under a lock that is
    ///   never held over driver code
    public void changeMemory(GfnRange leaving, Runnable change) {
        layout.changeWithoutPins(
                new PinRelease.Change() {
                    @Override
                    public List<GfnRange> leaving() {
                        return List.of(leaving);
                    }

                    @Override
                    public void make() {
                        change.run();
                    }
                });
    }

    /// Starts or stops logging the writes to all of the guest's memory: RAM and the mapped areas of
    /// devices, including areas whose slots appear later (QEMU `memory_global_dirty_log_start`).
    ///
    /// Memory that is hidden, moves, or is removed from the guest's sight and comes back keeps its
    /// dirty pages.
    ///
    /// @throws MdevException ESHUTDOWN if the machine is closed; otherwise as [MachineDirtyLog#set]
    public void setDirtyLog(DirtyLogMode mode) {
        operations.begin();
        try {
            dirtyLog.set(mode);
        } finally {
            operations.end();
        }
    }

    /// The log of writes to its memory.
    public MachineDirtyLog dirtyLog() {
        return dirtyLog;
    }

    /// Its memory, as the guest sees it.
    MemoryLayout layout() {
        return layout;
    }

    /// Stops all guest programs between two accesses, until the result is closed: by the thread
    /// that called this.
    ///
    /// @throws MdevException EBUSY if a processor is stuck in a driver's callback, or another
    ///   thread holds the machine; ESHUTDOWN if the machine is closed. All programs go on then
    Held hold(Duration timeout) {
        operations.begin();
        List<Vcpu> holding = new ArrayList<>();
        try {
            if (!holdingThread.compareAndSet(null, Thread.currentThread())) {
                throw new MdevException(Errno.EBUSY, "machine=%s is held".formatted(spec.name()));
            }
            for (Vcpu vcpu : vcpus) {
                if (!vcpu.hold(timeout)) {
                    release(holding);
                    throw new MdevException(
                            Errno.EBUSY,
                            "machine=%s vcpu=%d does not stop: it is in a driver"
                                    .formatted(spec.name(), vcpu.id()));
                }
                holding.add(vcpu);
            }
            return () -> {
                release(holding);
                operations.end();
            };
        } catch (RuntimeException | Error e) {
            operations.end();
            throw e;
        }
    }

    private void release(List<Vcpu> holding) {
        holding.forEach(Vcpu::release);
        holdingThread.set(null);
    }

    /// All programs rest.
    interface Held extends AutoCloseable {
        @Override
        void close();
    }

    /// What prevents its end.
    Operations operations() {
        return operations;
    }

    /// The memory of all RAM, or null without RAM.
    HostMemory.@Nullable Block ram() {
        return ram;
    }

    /// Stops the processors, detaches the devices, frees the RAM. Closing again does nothing.
    ///
    /// @throws MdevException ETIMEDOUT if a processor, or a thread that attaches or detaches a
    ///   device, is stuck in a driver's callback; call again later
    @Override
    public void close() {
        if (!operations.beginClosing(VCPU_CLOSE_TIMEOUT)) {
            return;
        }
        boolean done = false;
        try {
            for (Vcpu vcpu : vcpus) {
                if (!vcpu.close(VCPU_CLOSE_TIMEOUT)) {
                    throw new MdevException(
                            Errno.ETIMEDOUT,
                            "machine=%s vcpu=%d does not stop".formatted(spec.name(), vcpu.id()));
                }
            }
            devices().forEach(devices::takeOut);
            guest.close();
            freeRam();
            done = true;
        } finally {
            operations.endClosing(done);
        }
    }

    private void freeRam() {
        if (ram != null) {
            memory.free(ram);
        }
    }

    /// The machine as its devices' holder: a save may pause it between programs.
    private final class Holder implements DeviceHolder {
        @Override
        public String name() {
            return spec.name();
        }

        @Override
        public Optional<Pause> pause() {
            if (Thread.currentThread().equals(holdingThread.get())) {
                // This thread saves the whole machine, and holds it for longer.
                return Optional.of(() -> {});
            }
            try {
                operations.begin();
            } catch (MdevException e) {
                // It is being closed, and will release its devices.
                return Optional.empty();
            }
            List<Vcpu> paused = new ArrayList<>();
            for (Vcpu vcpu : vcpus) {
                if (!vcpu.tryPause()) {
                    resume(paused);
                    return Optional.empty();
                }
                paused.add(vcpu);
            }
            return Optional.of(() -> resume(paused));
        }

        private void resume(List<Vcpu> paused) {
            paused.forEach(Vcpu::resume);
            operations.end();
        }
    }
}
