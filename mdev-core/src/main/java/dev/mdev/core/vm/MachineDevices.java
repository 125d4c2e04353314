package dev.mdev.core.vm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.RegionInfo;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.device.DeviceHolder;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.pci.BarRegister;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.locks.ReentrantLock;

/// The devices in a machine: on its bus, with reserved addresses for their BARs.
///
/// Any thread may call the methods, unless stated otherwise.
final class MachineDevices {
    private final AddressSpaces slots;
    private final HostMm mm;
    private final PciBus bus = new PciBus();
    private final BarMapper mapper;

    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final Map<UUID, AttachedDevice> devices = new LinkedHashMap<>();

    @GuardedBy("lock")
    private final BarSpace bars;

    /// @param firstSlot the lowest slot number for devices
    MachineDevices(MachineSpec spec, BarMapper.Machine machine, int firstSlot) {
        slots = machine.slots();
        mm = machine.mm();
        bars = new BarSpace(spec.ramBytes());
        mapper =
                new BarMapper(
                        machine,
                        List.of(
                                new VisibleBars.Fixed(0, spec.ramBytes()),
                                new VisibleBars.Fixed(
                                        MachineSpec.ECAM_GPA, MachineSpec.ECAM_BYTES)),
                        List.of(
                                new MmioBus.Window(
                                        MachineSpec.ECAM_GPA, MachineSpec.ECAM_BYTES, bus, 0)),
                        firstSlot);
        slots.addListener(new PinGuard(mapper.devices()));
    }

    /// The mapper that shows their BARs to the guest.
    BarMapper mapper() {
        return mapper;
    }

    /// In the order of attachment.
    List<AttachedDevice> all() {
        lock.lock();
        try {
            return List.copyOf(devices.values());
        } finally {
            lock.unlock();
        }
    }

    Optional<AttachedDevice> find(UUID uuid) {
        lock.lock();
        try {
            return Optional.ofNullable(devices.get(uuid));
        } finally {
            lock.unlock();
        }
    }

    /// Puts a device on the bus, with all decoding off.
    ///
    /// @throws MdevException EBUSY if the device has a holder, or a former device with its uuid is
    ///   still in the machine; ENODEV if it is being removed, ENOMEM or ENOSPC if there is no room;
    ///   the device is then as before
    AttachedDevice plug(Mdev mdev, DeviceHolder holder, AttachOptions options) {
        MdevAssignment assignment = mdev.assign(holder);
        try {
            lock.lock();
            try {
                return plugLocked(assignment, options);
            } finally {
                lock.unlock();
            }
        } catch (RuntimeException | Error e) {
            assignment.close();
            throw e;
        }
    }

    @GuardedBy("lock")
    private AttachedDevice plugLocked(MdevAssignment assignment, AttachOptions options) {
        Mdev mdev = assignment.mdev();
        if (devices.containsKey(mdev.uuid())) {
            throw new MdevException(
                    Errno.EBUSY,
                    "mdev=%s was removed and made again: detach the former one first"
                            .formatted(mdev.uuid()));
        }
        AttachedDevice device =
                new AttachedDevice(
                        assignment,
                        bus.freeNumber(),
                        new AttachedDevice.Plug(slots, mm, options, mapper::settle));
        try {
            device.reserveAreas(mm);
            reserveBarsLocked(device);
            device.function().connect(device.dma());
        } catch (RuntimeException | Error e) {
            device.reservedGpas().values().forEach(bars::release);
            throw e;
        }
        devices.put(mdev.uuid(), device);
        bus.plug(device);
        mapper.add(device);
        return device;
    }

    @GuardedBy("lock")
    private void reserveBarsLocked(AttachedDevice device) {
        for (BarRegister bar : device.function().barRegisters()) {
            try {
                device.reservedGpas().put(bar.region(), bars.take(bar.sizeBytes(), bar.wide()));
            } catch (MdevException e) {
                if (bar.region() != RegionInfo.ROM) {
                    throw e;
                }
                // A ROM without an address is never run by firmware; the device works without it.
            }
        }
    }

    private boolean forget(AttachedDevice device) {
        lock.lock();
        try {
            return devices.remove(device.mdev().uuid(), device);
        } finally {
            lock.unlock();
        }
    }

    /// Removes a device: undoes [#plug] and all later steps, in the reverse order. The caller holds
    /// no lock, because drivers are called.
    ///
    /// @return whether the device was in the machine: only one caller removes it
    boolean takeOut(AttachedDevice device) {
        if (!forget(device)) {
            return false;
        }
        device.leave();
        bus.unplug(device);
        mapper.remove(device);
        GfnRange all = new GfnRange(0, GfnRange.GFN_LIMIT);
        device.dma().refusePins(all);
        if (device.dma().hasPins(all)) {
            device.mdev().dmaUnmapped(0, GuestAccess.Span.GPA_LIMIT);
        }
        device.dma().close();
        device.areas().forEach(area -> device.assignment().unmap(area.vma()));
        lock.lock();
        try {
            device.reservedGpas().values().forEach(bars::release);
        } finally {
            lock.unlock();
        }
        device.assignment().close();
        return true;
    }
}
