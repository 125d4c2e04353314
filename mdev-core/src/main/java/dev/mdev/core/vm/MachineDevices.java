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
import dev.mdev.core.engine.GuestEngine;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.pci.BarRegister;

import org.jspecify.annotations.Nullable;

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
    private final MachineAddresses addresses;
    private final Memory guest;
    private final PciBus bus;

    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final Map<UUID, AttachedDevice> devices = new LinkedHashMap<>();

    @GuardedBy("lock")
    private final BarSpace bars;

    /// @param bus the bus that answers configuration space in the layout
    MachineDevices(MachineSpec spec, MachineAddresses addresses, Memory guest, PciBus bus) {
        this.addresses = addresses;
        this.guest = guest;
        this.bus = bus;
        bars = new BarSpace(spec.lowRamBytes(), addresses);
        guest.slots.addListener(new PinGuard(guest.layout.devices()));
    }

    /// The machine's memory.
    record Memory(
            AddressSpaces slots, GuestEngine engine, MemoryLayout layout, MachineDirtyLog log) {
        HostMm mm() {
            return engine.hostMm();
        }
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
        return plug(mdev, holder, options, null);
    }

    /// The same, at a given place.
    ///
    /// @param place null for any
    /// @throws MdevException EINVAL or EEXIST if the place is impossible or taken
    AttachedDevice plug(
            Mdev mdev, DeviceHolder holder, AttachOptions options, @Nullable RestoredPlace place) {
        MdevAssignment assignment = mdev.assign(holder);
        try {
            lock.lock();
            try {
                return plugLocked(assignment, options, place);
            } finally {
                lock.unlock();
            }
        } catch (RuntimeException | Error e) {
            assignment.close();
            throw e;
        }
    }

    @GuardedBy("lock")
    private AttachedDevice plugLocked(
            MdevAssignment assignment, AttachOptions options, @Nullable RestoredPlace place) {
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
                        place == null ? bus.freeNumber() : bus.number(place.number()),
                        new AttachedDevice.Plug(
                                guest.slots,
                                guest.mm(),
                                addresses,
                                options,
                                guest.layout::settle,
                                guest.engine.writeWatches()));
        try {
            device.reserveAreas(guest.mm());
            if (place == null) {
                reserveBarsLocked(device);
            } else {
                reserveBarsLocked(device, place.bars());
            }
            device.function().connect(device.dma());
        } catch (RuntimeException | Error e) {
            device.reservedGpas().values().forEach(bars::release);
            throw e;
        }
        devices.put(mdev.uuid(), device);
        bus.plug(device);
        device.areas()
                .forEach(area ->
                        guest.log.add(
                                area.vma().range(),
                                new DirtyPages.Of.Area(
                                        mdev.uuid(), area.region(), area.area().offsetBytes())));
        guest.layout.add(device);
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

    @GuardedBy("lock")
    private void reserveBarsLocked(AttachedDevice device, Map<Integer, Long> wanted) {
        for (BarRegister bar : device.function().barRegisters()) {
            Long gpa = wanted.get(bar.region());
            if (gpa != null) {
                bars.takeAt(gpa, bar.sizeBytes(), bar.wide());
                device.reservedGpas().put(bar.region(), gpa);
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
        guest.layout.remove(device);
        device.areas().forEach(area -> guest.log.remove(area.vma().range()));
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
