package dev.mdev.core.vm;

import dev.mdev.api.DoorbellInfo;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.dma.DeviceWatches;
import dev.mdev.core.dma.DmaWindow;
import dev.mdev.core.dma.WriteWatches;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.guestmem.SlotDmaMemory;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.pci.BarWindow;
import dev.mdev.core.pci.InterruptObserver;
import dev.mdev.core.pci.PciConfigSpace;
import dev.mdev.core.pci.PciFunction;
import dev.mdev.core.pci.RegionAccess;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;

/// A mediated device in a machine: a PCI function on its bus.
public final class AttachedDevice {
    private final MdevAssignment assignment;
    private final int deviceNumber;
    private final long ecamGpa;
    private final DeviceInterrupts interrupts;
    private final PciFunction function;
    private final DmaWindow dma;
    private final ConfigAccess config;

    /// Set before the device is on the bus, and constant afterwards.
    private final List<MappedArea> areas = new ArrayList<>();

    private final Map<Integer, MmioBus.Target> targets = new HashMap<>();

    /// The firmware's addresses of BARs, by their index. Changed under the machine's lock.
    private final Map<Integer, Long> reservedGpas = new TreeMap<>();

    private final boolean hasFirmware;

    private volatile @Nullable MdevException mappingFailure;

    /// Whether it is being detached, or is detached. This is permanent.
    private volatile boolean leaving;

    AttachedDevice(MdevAssignment assignment, int deviceNumber, Plug plug) {
        this.assignment = assignment;
        this.deviceNumber = deviceNumber;
        ecamGpa = plug.addresses.ecamGpa();
        hasFirmware = plug.options.firmware();
        interrupts = new DeviceInterrupts(assignment.mdev().vectors());
        function = new PciFunction(assignment, new Owner(plug.windowsChanged));
        interrupts.connect(function.interrupts());
        dma =
                new DmaWindow(
                        new SlotDmaMemory(plug.slots, plug.mm),
                        new BusGate(),
                        plug.options.pinLimitPages(),
                        plug.watches
                                .map(watches -> new DeviceWatches(watches, mdev()::guestWrote))
                                .orElse(null));
        config = new ConfigAccess(function, address());
        for (RegionInfo region : function.regions()) {
            targets.put(region.index(), new Target(region.index()));
        }
    }

    /// What a machine offers to a device.
    ///
    /// @param windowsChanged called when its BARs have moved
    /// @param watches of stores of the guest, if its engine has them
    record Plug(
            AddressSpaces slots,
            HostMm mm,
            MachineAddresses addresses,
            AttachOptions options,
            Consumer<AttachedDevice> windowsChanged,
            Optional<WriteWatches> watches) {}

    /// Reserves host addresses for the mapped areas of its BARs.
    ///
    /// @throws MdevException ENOMEM if there is no room
    void reserveAreas(HostMm mm) {
        for (RegionInfo region : mdev().regions()) {
            for (RegionArea area : region.areas()) {
                if ((region.isBar() || region.index() == RegionInfo.VGA)
                        && area.kind() != RegionArea.Kind.TRAPPED) {
                    areas.add(
                            new MappedArea(
                                    this, region.index(), area, assignment.map(mm, region, area)));
                }
            }
        }
    }

    public Mdev mdev() {
        return assignment.mdev();
    }

    /// The machine's assignment of the device.
    MdevAssignment assignment() {
        return assignment;
    }

    /// Its number on bus 0, 1 to 31. It is function 0 of that device.
    public int deviceNumber() {
        return deviceNumber;
    }

    /// Its address as `lspci` prints it, such as `00:01.0`.
    public String address() {
        return "00:%02x.0".formatted(deviceNumber);
    }

    /// The address at which the guest reaches its configuration space by memory accesses.
    public long configGpa() {
        return ecamGpa + PciBus.configOffset(deviceNumber);
    }

    /// Its configuration space as the guest reaches it.
    public ConfigAccess config() {
        return config;
    }

    /// The interrupts that it sent.
    public DeviceInterrupts interrupts() {
        return interrupts;
    }

    /// Its way to guest memory.
    public DmaWindow dma() {
        return dma;
    }

    /// The PCI function that the guest sees.
    public PciFunction function() {
        return function;
    }

    /// A region that the guest sees, by its index: one of the driver's, or the BAR that was added
    /// for MSI-X.
    ///
    /// @throws MdevException EINVAL if there is none
    public RegionInfo region(int index) {
        return function.regions().stream()
                .filter(region -> region.index() == index)
                .findFirst()
                .orElseThrow(() ->
                        new MdevException(Errno.EINVAL, "%s region=%d".formatted(this, index)));
    }

    /// The guest-physical address of each BAR that is decoded now, by its index.
    public Map<Integer, Long> barGpas() {
        Map<Integer, Long> gpas = new TreeMap<>();
        for (BarWindow window : function.config().windows()) {
            if (window.region() <= RegionInfo.LAST_BAR) {
                gpas.put(window.region(), window.gpa());
            }
        }
        return gpas;
    }

    /// The guest-physical address of a BAR, if it is decoded now.
    public Optional<Long> barGpa(int bar) {
        return Optional.ofNullable(barGpas().get(bar));
    }

    /// Why a mapped area of its BARs is trapped, if it is: the host had no memory slot for it.
    public Optional<MdevException> mappingFailure() {
        return Optional.ofNullable(mappingFailure);
    }

    void setMappingFailure(@Nullable MdevException failure) {
        mappingFailure = failure;
    }

    /// From here on, the guest sees no failures of it.
    void leave() {
        leaving = true;
    }

    /// Plays firmware: gives each BAR its reserved address, then turns memory decoding and bus
    /// mastering on. After a reset the guest's own firmware would do it.
    public void runFirmware() {
        Firmware.configure(function, config, reservedGpas);
    }

    /// Plays the guest's driver: turns on all vectors of MSI-X, or of MSI if there is no MSI-X,
    /// each with its number as data.
    ///
    /// @return the number of vectors; 0 if the device has neither
    public int enableMessages() {
        return Firmware.enableMessages(function, config);
    }

    Map<Integer, Long> reservedGpas() {
        return reservedGpas;
    }

    List<MappedArea> areas(int region) {
        return areas.stream().filter(area -> area.region() == region).toList();
    }

    List<MappedArea> areas() {
        return areas;
    }

    /// Answers accesses to the unmapped parts of a region.
    MmioBus.Target target(int region) {
        MmioBus.Target target = targets.get(region);
        if (target == null) {
            throw new IllegalArgumentException("region=" + region);
        }
        return target;
    }

    @Override
    public String toString() {
        return address() + " " + assignment;
    }

    private final class Owner implements PciFunction.Owner {
        private final Consumer<AttachedDevice> windowsChanged;

        Owner(Consumer<AttachedDevice> windowsChanged) {
            this.windowsChanged = windowsChanged;
        }

        @Override
        public void windowsChanged() {
            windowsChanged.accept(AttachedDevice.this);
        }

        @Override
        public InterruptObserver observer() {
            return interrupts::interrupted;
        }

        @Override
        public void runFirmware() {
            if (hasFirmware) {
                AttachedDevice.this.runFirmware();
            }
        }

        @Override
        public long gpaLimit() {
            return GuestAccess.Span.GPA_LIMIT;
        }
    }

    private final class BusGate implements DmaWindow.Gate {
        @Override
        public boolean isOpen() {
            return function.config().isBusMaster();
        }

        @Override
        public void aborted() {
            function.config().raiseStatus(PciConfigSpace.RECEIVED_MASTER_ABORT);
        }
    }

    private final class Target implements MmioBus.Target {
        private final int region;
        private final List<MmioBus.Doorbell> doorbells = new ArrayList<>();

        Target(int region) {
            this.region = region;
            List<DoorbellInfo> all = function.doorbells();
            for (int i = 0; i < all.size(); i++) {
                DoorbellInfo info = all.get(i);
                int doorbell = i;
                if (info.region() == region) {
                    doorbells.add(
                            new MmioBus.Doorbell(
                                    info.offsetBytes(),
                                    info.widthBytes(),
                                    () -> function.ring(doorbell)));
                }
            }
        }

        @Override
        public List<MmioBus.Doorbell> doorbells() {
            return doorbells;
        }

        @Override
        public RegionAccess read(long offsetBytes, int widthBytes) {
            return orAllOnes(function.readIfDecoded(region, offsetBytes, widthBytes));
        }

        @Override
        public RegionAccess write(long offsetBytes, int widthBytes, long value) {
            return orAllOnes(function.writeIfDecoded(region, offsetBytes, widthBytes, value));
        }

        /// An access that was in progress when decoding was turned off, or the device was detached,
        /// has no target.
        private RegionAccess orAllOnes(@Nullable RegionAccess outcome) {
            if (outcome == null || (outcome instanceof RegionAccess.Failed && leaving)) {
                return new RegionAccess.Done(-1);
            }
            return outcome;
        }
    }
}
