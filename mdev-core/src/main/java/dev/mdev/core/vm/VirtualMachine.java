package dev.mdev.core.vm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.GuestEngine;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.UserMemoryRegion;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.locks.ReentrantLock;

/// A virtual machine: RAM, processors, and assigned devices, on some engine.
///
/// All methods may be called by any thread, but none by a processor's.
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

    private final ReentrantLock structure = new ReentrantLock();

    @GuardedBy("structure")
    private final Map<UUID, AttachedDevice> devices = new LinkedHashMap<>();

    @GuardedBy("structure")
    private final BarSpace bars = new BarSpace();

    /// Slot numbers that devices use.
    @GuardedBy("structure")
    private final BitSet usedSlots = new BitSet();

    @GuardedBy("structure")
    private boolean closed;

    /// @throws MdevException ENOMEM if there is not that much memory; else what the engine says
    public VirtualMachine(MachineSpec spec, Engine engine, HostMemory memory) {
        this.spec = spec;
        this.engineName = engine.name();
        this.memory = memory;
        slots = new AddressSpaces(SlotConfig.withoutSmm());
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
                started.add(new Vcpu(spec.name(), id, made.createVcpu(id), mmio));
            }
        } catch (RuntimeException e) {
            started.forEach(vcpu -> vcpu.close(VCPU_CLOSE_TIMEOUT));
            if (made != null) {
                made.close();
            }
            freeRam();
            throw e;
        }
        guest = made;
        vcpus = List.copyOf(started);
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

    /// The devices in the machine, in the order they were attached.
    public List<AttachedDevice> devices() {
        structure.lock();
        try {
            return List.copyOf(devices.values());
        } finally {
            structure.unlock();
        }
    }

    public Optional<AttachedDevice> device(UUID uuid) {
        structure.lock();
        try {
            return Optional.ofNullable(devices.get(uuid));
        } finally {
            structure.unlock();
        }
    }

    /// Puts a device into the machine: each BAR gets an address, lazy areas are reserved.
    ///
    /// @throws MdevException EBUSY if somebody has the device, ESHUTDOWN if the machine is closed,
    ///   ENOMEM or ENOSPC if there is no room; the device is then as before
    public AttachedDevice attach(Mdev mdev) {
        structure.lock();
        try {
            requireOpenLocked();
            AttachedDevice device = new AttachedDevice(mdev, mdev.assign(spec.name()));
            try {
                for (RegionInfo region : mdev.regions()) {
                    if (region.isBar()) {
                        placeLocked(device, region);
                    }
                }
            } catch (RuntimeException e) {
                takeOutLocked(device);
                throw e;
            }
            devices.put(mdev.uuid(), device);
            return device;
        } finally {
            structure.unlock();
        }
    }

    @GuardedBy("structure")
    private void requireOpenLocked() {
        if (closed) {
            throw new MdevException(Errno.ESHUTDOWN, "machine=" + spec.name() + " is closed");
        }
    }

    @GuardedBy("structure")
    private void placeLocked(AttachedDevice device, RegionInfo region) {
        long gpa = bars.take(region.sizeBytes());
        device.placed(region, gpa);
        MmioBus.Window window =
                new MmioBus.Window(gpa, region.sizeBytes(), device.targetOf(region));
        mmio.add(window);
        device.windows().add(window);
        for (RegionArea area : region.areas()) {
            if (area.kind() == RegionArea.Kind.TRAPPED) {
                continue;
            }
            Vma vma = device.mdev().map(guest.hostMm(), region, area);
            device.vmas().add(vma);
            int slot = takeSlotLocked();
            device.slotNumbers().add(slot);
            slots.setUserMemoryRegion(
                    new UserMemoryRegion(
                            slot,
                            0,
                            gpa + area.offsetBytes(),
                            area.sizeBytes(),
                            vma.range().startHva()));
        }
    }

    @GuardedBy("structure")
    private int takeSlotLocked() {
        int slot = usedSlots.nextClearBit(RAM_SLOT + 1);
        usedSlots.set(slot);
        return slot;
    }

    /// Takes a device out of the machine. When it returns, no guest access reaches it.
    ///
    /// @throws MdevException ENODEV if it is not in this machine
    public void detach(UUID uuid) {
        structure.lock();
        try {
            AttachedDevice device = devices.remove(uuid);
            if (device == null) {
                throw new MdevException(
                        Errno.ENODEV, "mdev=%s is not in machine=%s".formatted(uuid, spec.name()));
            }
            takeOutLocked(device);
        } finally {
            structure.unlock();
        }
    }

    /// Undoes what was done of [#attach], in the reverse order.
    @GuardedBy("structure")
    private void takeOutLocked(AttachedDevice device) {
        for (int slot : device.slotNumbers()) {
            if (slots.slotOf(slot) != null) {
                slots.setUserMemoryRegion(UserMemoryRegion.deletionOf(slot));
            }
            usedSlots.clear(slot);
        }
        device.windows().forEach(mmio::remove);
        device.vmas().forEach(device.mdev()::unmap);
        device.barGpas().values().forEach(bars::release);
        device.mdev().unassign();
    }

    /// Stops the processors, takes the devices out, frees the RAM. Closing again does nothing.
    ///
    /// @throws MdevException ETIMEDOUT if a processor is stuck in a driver's callback; call again
    ///   later
    @Override
    public void close() {
        structure.lock();
        try {
            if (closed) {
                return;
            }
            for (Vcpu vcpu : vcpus) {
                if (!vcpu.close(VCPU_CLOSE_TIMEOUT)) {
                    throw new MdevException(
                            Errno.ETIMEDOUT,
                            "machine=%s vcpu=%d does not stop".formatted(spec.name(), vcpu.id()));
                }
            }
            closed = true;
            devices.values().forEach(this::takeOutLocked);
            devices.clear();
            guest.close();
            freeRam();
        } finally {
            structure.unlock();
        }
    }

    private void freeRam() {
        if (ram != null) {
            memory.free(ram);
        }
    }
}
