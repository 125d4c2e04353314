package dev.mdev.core.vm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.device.DeviceHolder;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.GuestEngine;
import dev.mdev.core.engine.VcpuEngine;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.UserMemoryRegion;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/// A virtual machine: RAM, processors, and assigned devices, on an engine.
///
/// Any thread may call all methods, except a processor's, and except inside a driver's callback.
public final class VirtualMachine implements AutoCloseable {
    private static final Duration VCPU_CLOSE_TIMEOUT = Duration.ofSeconds(5);

    private static final int RAM_SLOT = 0;

    private final MachineSpec spec;
    private final String engineName;
    private final HostMemory memory;
    private final AddressSpaces slots;
    private final GuestEngine guest;
    private final MmioBus mmio = new MmioBus();
    private final List<Vcpu> vcpus;
    private final HostMemory.@Nullable Block ram;

    private final MachineDevices devices;
    private final Operations operations;
    private final DeviceHolder holder = new Holder();

    /// @throws MdevException ENOMEM if the memory is not available; otherwise the engine's error
    public VirtualMachine(MachineSpec spec, Engine engine, HostMemory memory) {
        this.spec = spec;
        this.engineName = engine.name();
        this.memory = memory;
        slots = new AddressSpaces(SlotConfig.withoutSmm());
        operations = new Operations("machine=" + spec.name());
        ram =
                spec.ramBytes() == 0
                        ? null
                        : memory.allocate("ram of " + spec.name(), Page.numberOf(spec.ramBytes()));
        GuestEngine made = null;
        List<Vcpu> started = new ArrayList<>();
        try {
            made = engine.createGuest(slots, memory);
            if (ram != null) {
                Vma vma = made.hostMm().mapEagerly(ram.pfns(), Prot.READ_WRITE);
                slots.setUserMemoryRegion(
                        new UserMemoryRegion(
                                RAM_SLOT, 0, 0, spec.ramBytes(), vma.range().startHva()));
            }
            for (int id = 0; id < spec.vcpus(); id++) {
                started.add(startVcpu(id, made.createVcpu(id)));
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
                        spec, new BarMapper.Machine(slots, guest.hostMm(), mmio), RAM_SLOT + 1);
    }

    private Vcpu startVcpu(int id, VcpuEngine processor) {
        try {
            return new Vcpu(spec.name(), id, processor, mmio);
        } catch (RuntimeException | Error e) {
            processor.close();
            throw e;
        }
    }

    public MachineSpec spec() {
        return spec;
    }

    public String engineName() {
        return engineName;
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
        devices.mapper()
                .changeWithoutPins(
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
    /// Starting twice has no further effect.
    ///
    /// A slot that disappears takes its log along, as when a BAR is no longer decoded; a
    /// [dev.mdev.core.dirty.DirtyBackingView] keeps its content.
    ///
    /// @throws MdevException ESHUTDOWN if the machine is closed, ENOMEM if there is no memory for
    ///   the bitmaps; logging is then as before
    public void setDirtyLogging(boolean on) {
        operations.begin();
        try {
            boolean ramBefore = setRamLogging(on);
            try {
                devices.mapper().setLogging(on);
            } catch (RuntimeException refusal) {
                setRamLogging(ramBefore);
                throw refusal;
            }
        } finally {
            operations.end();
        }
    }

    /// @return whether RAM was logged before
    private boolean setRamLogging(boolean on) {
        slots.slotsLock().lock();
        try {
            Memslot slot = slots.slotOf(RAM_SLOT);
            if (slot == null) {
                return false;
            }
            UserMemoryRegion region = slot.region();
            int others = region.flags() & ~SlotFlags.LOG_DIRTY_PAGES;
            slots.setUserMemoryRegion(
                    new UserMemoryRegion(
                            RAM_SLOT,
                            on ? others | SlotFlags.LOG_DIRTY_PAGES : others,
                            region.gpa(),
                            region.sizeBytes(),
                            region.hva()));
            return slot.logsDirty();
        } finally {
            slots.slotsLock().unlock();
        }
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
