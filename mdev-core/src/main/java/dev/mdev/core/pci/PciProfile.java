package dev.mdev.core.pci;

import dev.mdev.api.DoorbellInfo;
import dev.mdev.api.IrqInfo;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.PciIdentity;
import dev.mdev.api.PciOptions;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.layout.BarLayout;
import dev.mdev.api.layout.DoorbellLayout;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/// A device's checked description of itself at its creation: everything that its configuration
/// space consists of.
public record PciProfile(
        PciIdentity identity,
        IrqInfo irqs,
        PciOptions options,
        List<RegionInfo> regions,
        BarLayout bars,
        List<DoorbellInfo> doorbells) {
    static final int CONVENTIONAL_BYTES = 256;
    static final int EXPRESS_BYTES = 4096;

    /// Base class and sub-class of a VGA display.
    private static final int VGA_DISPLAY = 0x0300;

    public PciProfile {
        // A driver may answer with null.
        Objects.requireNonNull(identity, "identity");
        Objects.requireNonNull(options, "pci");
        regions = List.copyOf(regions);
        doorbells = List.copyOf(doorbells);
    }

    /// Asks a driver's object.
    ///
    /// @throws dev.mdev.api.MdevException EINVAL if its description is no valid PCI function
    public static PciProfile of(MdevDevice device) {
        List<RegionInfo> regions = List.copyOf(device.regions());
        IrqInfo irqs = device.irqs();
        PciOptions options = device.pci();
        BarLayout bars = BarLayout.of(regions, irqs, options);
        List<DoorbellInfo> doorbells = List.copyOf(device.doorbells());
        DoorbellLayout.check(doorbells, regions, bars, irqs.msixVectors());
        return new PciProfile(device.identity(), irqs, options, regions, bars, doorbells);
    }

    /// Whether the function decodes legacy VGA memory while memory decoding is on: a VGA display
    /// whose driver lists the region.
    boolean hasVga() {
        return identity.classCode() >> Byte.SIZE == VGA_DISPLAY
                && regions.stream().anyMatch(region -> region.index() == RegionInfo.VGA);
    }

    int configBytes() {
        return options.express() ? EXPRESS_BYTES : CONVENTIONAL_BYTES;
    }

    /// All regions of the function: the driver's, the BAR that was added for MSI-X, and
    /// configuration space.
    public List<RegionInfo> allRegions() {
        List<RegionInfo> all = new ArrayList<>(regions);
        bars.addedForMsix().ifPresent(all::add);
        all.add(new RegionInfo(RegionInfo.CONFIG, "config", configBytes(), List.of()));
        return List.copyOf(all);
    }
}
