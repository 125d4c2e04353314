package dev.mdev.core.vm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.MdevException;
import dev.mdev.api.RegionArea;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.GuestEngine;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SmmDesign;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.pci.BarWindow;
import dev.mdev.core.topology.DirtyClient;
import dev.mdev.core.topology.MemoryRegion;
import dev.mdev.core.topology.MemslotListener;
import dev.mdev.core.topology.SlotPolicy;
import dev.mdev.core.topology.SlotPort;
import dev.mdev.core.topology.Topology;
import dev.mdev.core.topology.TopologyEdit;
import dev.mdev.core.topology.TopologySpace;

import org.jspecify.annotations.Nullable;

import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.locks.ReentrantLock;

/// The memory of a machine as its guest finds it: a tree of regions, and the slots and targets that
/// follow the tree.
///
///     system   RAM below 4 GiB, RAM above, configuration space      priority 0
///              legacy VGA memory of a display                       priority 1
///              pci: the BARs and ROMs of all devices                priority -1
///
/// In a machine with system management mode (SMM), processors in that mode see system with SMRAM
/// above it ([SmramRegions]). Drivers and devices never do.
///
/// As in QEMU, RAM and the memory-mapped configuration space lie above all BARs, and of two BARs
/// the one that was placed last lies above the other; a hidden part appears again when the upper
/// one goes.
///
/// A thread that changed a device's configuration space calls [#settle] for that device, which
/// reads it again: the last caller completes the requests of several threads, and no thread waits
/// for a request to another device.
///
/// Slots are removed before mappings: when a BAR is no longer decoded, its slots are deleted first
/// and then the driver's grants are revoked, as VFIO does when memory decoding is turned off. A BAR
/// that moves keeps its mappings.
final class MemoryLayout {
    private final HostMm mm;
    private final Topology topology = new Topology();
    private final MemoryRegion system = MemoryRegion.wholeSpace(topology, "system");
    private final MemoryRegion pci = MemoryRegion.wholeSpace(topology, "pci");

    /// The RAM behind legacy VGA memory, or null if RAM ends below.
    private final @Nullable MemoryRegion ramBehindVga;

    private final Map<MemoryRegion, GuestSpace.Port> ports = new ConcurrentHashMap<>();
    private final CopyOnWriteArrayList<AttachedDevice> devices = new CopyOnWriteArrayList<>();
    private final Mmio mmio;

    /// Shows the slots that devices and drivers reach, and their view.
    private final MemslotListener slots;

    private final TopologySpace space;

    /// Of a machine with SMM.
    private final @Nullable SmramRegions smram;

    private final @Nullable RamRegions ram;
    private final HostBridge bridge;

    /// Held while a change is checked and made; outside the topology's lock.
    private final ReentrantLock layout = new ReentrantLock();

    @GuardedBy("layout")
    private final Map<AttachedDevice, DeviceRegions> regions = new LinkedHashMap<>();

    /// Devices whose areas trap, because their slots were refused.
    @GuardedBy("layout")
    private final Set<AttachedDevice> trapped = new HashSet<>();

    /// @param bridge says what is visible, in a machine with SMM
    /// @param bus the target of configuration space
    /// @throws MdevException the engine's error
    MemoryLayout(
            MachineSpec spec,
            MachineAddresses addresses,
            Guest guest,
            HostBridge bridge,
            MmioBus.Target bus) {
        mm = guest.engine.hostMm();
        this.bridge = bridge;
        MemoryRegion config = MemoryRegion.mmio(topology, "config", MachineAddresses.ECAM_BYTES);
        ports.put(config, new GuestSpace.Port(bus, 0));
        HvaRange host = guest.ram;
        ram = host == null ? null : RamRegions.of(spec, topology, host);
        ramBehindVga = ram == null ? null : ram.behindVga();
        smram =
                host == null || ram == null || spec.smm() == SmmDesign.NONE
                        ? null
                        : new SmramRegions(spec, topology, ram.ram(), host);
        topology.edit(edit -> {
            if (ram != null) {
                ram.place(edit, system);
            }
            if (smram != null) {
                smram.place(edit, system);
            }
            showRam(edit);
            edit.add(system, config, addresses.ecamGpa(), 0);
            edit.add(system, pci, 0, -1);
        });
        slots = listener(0, guest);
        boolean flagged = spec.smm() == SmmDesign.SLOT_FLAG;
        GuestSpace outside =
                new GuestSpace(flagged ? null : slots, ports, guest.engine::setDoorbells);
        TopologySpace outsideSpace = topology.attach("memory", system, outside);
        if (smram == null) {
            mmio = new Mmio(outside.mmio(), outside.mmio());
            space = outsideSpace;
            return;
        }
        // Doorbells ring wherever a store to them comes from: the kernel knows no address spaces
        // there.
        GuestSpace inSmm = new GuestSpace(flagged ? slots : listener(1, guest), ports, _ -> {});
        TopologySpace inSmmSpace = topology.attach("smm", smram.root(), inSmm);
        mmio = new Mmio(outside.mmio(), inSmm.mmio());
        space = flagged ? inSmmSpace : outsideSpace;
    }

    private static MemslotListener listener(int asId, Guest guest) {
        return new MemslotListener(
                asId, SlotPolicy.linux(), new Slots(guest.slots), guest.engine.pause());
    }

    private void showRam(TopologyEdit edit) {
        HostBridge.Registers registers = bridge.registers();
        if (smram != null && ram != null) {
            smram.set(edit, registers);
            ram.set(edit, registers);
        }
    }

    /// What a machine's memory is made of.
    ///
    /// @param slots its slots, still empty
    /// @param ram the memory of all RAM, or null without RAM
    record Guest(AddressSpaces slots, GuestEngine engine, @Nullable HvaRange ram) {}

    /// Carries out slot operations.
    private record Slots(AddressSpaces slots) implements SlotPort {
        /// The slots of a machine that was given up have no user any more, and cannot change: its
        /// devices must still be able to leave.
        @Override
        public void set(UserMemoryRegion region) {
            if (!slots.isDead()) {
                slots.setUserMemoryRegion(region);
            }
        }

        /// The log of a slot is complete when the slot is gone, and goes to [MachineDirtyLog] then.
        @Override
        public void collectDirty(UserMemoryRegion slot) {}
    }

    /// A processor's accesses without memory.
    Mmio mmio() {
        return mmio;
    }

    /// What answers accesses without memory.
    record Mmio(MmioBus outside, MmioBus inSmm) {
        MmioBus of(boolean isInSmm) {
            return isInSmm ? inSmm : outside;
        }
    }

    /// The devices whose BARs it manages.
    List<AttachedDevice> devices() {
        return devices;
    }

    /// Adds a device, which decodes nothing yet.
    void add(AttachedDevice device) {
        DeviceRegions its = new DeviceRegions(topology, device, ports);
        if (its.hasVga() && ramBehindVga != null) {
            keepApart(ramBehindVga);
        }
        layout.lock();
        try {
            topology.edit(edit -> its.addAreas(edit, device, ports));
            regions.put(device, its);
        } finally {
            layout.unlock();
        }
        devices.add(device);
    }

    /// Gives a part of RAM a slot of its own, so that RAM around it keeps its slots when the part
    /// is hidden and shown.
    private void keepApart(MemoryRegion part) {
        changeWithoutPins(
                new PinRelease.Change() {
                    @Override
                    public List<GfnRange> leaving() {
                        return slots.leaving(topology.preview(space, this::edit));
                    }

                    @Override
                    public void make() {
                        topology.edit(this::edit);
                    }

                    private void edit(TopologyEdit edit) {
                        edit.setMergeable(part, false);
                    }
                });
    }

    /// Removes a device. When this returns, no access of the guest reaches it.
    void remove(AttachedDevice device) {
        devices.remove(device);
        settle(device);
        layout.lock();
        try {
            trapped.remove(device);
            DeviceRegions its = regions.remove(device);
            if (its != null) {
                its.close(ports);
            }
        } finally {
            layout.unlock();
        }
    }

    /// Updates the tree to a device's configuration space. The caller holds no lock: drivers may
    /// get notice of removed pinned memory, and requests for eager areas.
    void settle(AttachedDevice device) {
        Settlement settlement = new Settlement(device);
        changeWithoutPins(settlement);
        for (MappedArea area : settlement.eager) {
            area.device().assignment().populate(mm, area.vma());
        }
    }

    /// The registers of the host bridge, for a machine's state.
    byte[] saveBridge() {
        return bridge.save();
    }

    /// Sets the registers of the host bridge, and updates the tree. The caller holds no lock.
    void restoreBridge(byte[] bytes) {
        bridge.restore(bytes);
        settleBridge();
    }

    /// Updates the tree to the host bridge. The caller holds no lock.
    void settleBridge() {
        changeWithoutPins(
                new PinRelease.Change() {
                    @Override
                    public List<GfnRange> leaving() {
                        return slots.leaving(topology.preview(space, MemoryLayout.this::showRam));
                    }

                    @Override
                    public void make() {
                        topology.edit(MemoryLayout.this::showRam);
                    }
                });
    }

    /// Starts or stops logging the writes to all memory, including memory that appears later.
    ///
    /// @throws MdevException the error of a slot that refused; logging is then as before
    void setLogging(boolean on) {
        layout.lock();
        try {
            topology.edit(edit -> edit.setGlobalLog(DirtyClient.MIGRATION, on));
        } finally {
            layout.unlock();
        }
    }

    /// Changes slots when no device has pins in the removed memory. The caller holds no lock.
    void changeWithoutPins(PinRelease.Change change) {
        new PinRelease(devices, layout).run(change);
    }

    /// The way of one device's regions to where its configuration space says. Both methods of the
    /// change run under one hold of the lock.
    @SuppressWarnings("GuardedBy") // PinRelease calls with the lock held
    private final class Settlement implements PinRelease.Change {
        private final AttachedDevice device;
        private final @Nullable DeviceRegions its;
        private List<BarWindow> windows = List.of();
        private List<MappedArea> eager = List.of();

        Settlement(AttachedDevice device) {
            this.device = device;
            layout.lock();
            try {
                its = regions.get(device);
            } finally {
                layout.unlock();
            }
        }

        @Override
        public List<GfnRange> leaving() {
            windows = devices.contains(device) ? device.function().config().windows() : List.of();
            try {
                return leavingWith(without(device));
            } catch (MdevException tooMany) {
                return leavingWith(trapped);
            }
        }

        private List<GfnRange> leavingWith(Set<AttachedDevice> trapping) {
            return slots.leaving(topology.preview(space, edit -> place(edit, trapping)));
        }

        @Override
        public void make() {
            if (its == null) {
                return;
            }
            List<MappedArea> gone = areas(false);
            eager = areas(true);
            changeTree();
            its.setPlaced(windows);
            gone.forEach(area -> area.device().assignment().zap(mm, area.vma()));
        }

        /// First with slots for the device's areas. If they are refused, its areas trap, until its
        /// next change; if that is refused as well, since it may need more slots for others'
        /// memory, all areas trap: that only deletes slots.
        private void changeTree() {
            Set<AttachedDevice> none = without(device);
            try {
                topology.edit(edit -> place(edit, none));
                trapped.remove(device);
                device.setMappingFailure(null);
            } catch (MdevException refusal) {
                device.setMappingFailure(refusal);
                trapped.add(device);
                try {
                    topology.edit(edit -> place(edit, trapped));
                } catch (MdevException again) {
                    trapAll(again);
                }
            }
        }

        private void trapAll(MdevException refusal) {
            regions.forEach((other, theirs) -> {
                if (theirs.hasAreas() && trapped.add(other)) {
                    other.setMappingFailure(refusal);
                }
            });
            topology.edit(edit -> place(edit, trapped));
        }

        private Set<AttachedDevice> without(AttachedDevice one) {
            Set<AttachedDevice> others = new HashSet<>(trapped);
            others.remove(one);
            return others;
        }

        private void place(TopologyEdit edit, Set<AttachedDevice> trapping) {
            if (its != null) {
                regions.forEach(
                        (other, theirs) -> theirs.setMapped(edit, !trapping.contains(other)));
                its.place(edit, pci, system, windows);
            }
        }

        /// The areas of regions that are decoded from now on, or not any more.
        private List<MappedArea> areas(boolean now) {
            return device.areas().stream()
                    .filter(area -> isDecoded(area.region()) == now && isPlaced(area) != now)
                    .filter(area -> !now || area.area().kind() == RegionArea.Kind.EAGER)
                    .toList();
        }

        private boolean isPlaced(MappedArea area) {
            return its != null && its.isPlaced(area.region());
        }

        private boolean isDecoded(int region) {
            return windows.stream().anyMatch(window -> window.region() == region);
        }
    }
}
