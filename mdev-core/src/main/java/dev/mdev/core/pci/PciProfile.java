package dev.mdev.core.pci;

import dev.mdev.api.IrqInfo;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.PciIdentity;
import dev.mdev.api.PciOptions;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.layout.BarLayout;

import java.util.ArrayList;
import java.util.List;

/// A device's checked description of itself at its creation: everything that its configuration
/// space consists of.
public record PciProfile(
        PciIdentity identity,
        IrqInfo irqs,
        PciOptions options,
        List<RegionInfo> regions,
        BarLayout bars) {
    static final int CONVENTIONAL_BYTES = 256;
    static final int EXPRESS_BYTES = 4096;

    public PciProfile {
        regions = List.copyOf(regions);
    }

    /// Asks a driver's object.
    ///
    /// @throws dev.mdev.api.MdevException EINVAL if its description is no valid PCI function
    public static PciProfile of(MdevDevice device) {
        List<RegionInfo> regions = List.copyOf(device.regions());
        IrqInfo irqs = device.irqs();
        PciOptions options = device.pci();
        return new PciProfile(
                device.identity(), irqs, options, regions, BarLayout.of(regions, irqs, options));
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
