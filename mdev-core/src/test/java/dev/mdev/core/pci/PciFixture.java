package dev.mdev.core.pci;

import dev.mdev.api.IrqInfo;
import dev.mdev.api.PciIdentity;
import dev.mdev.api.PciOptions;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.layout.BarLayout;

import java.util.ArrayList;
import java.util.List;

/// A configuration space with everything in it, and what interrupts come out of it.
///
/// BAR 0: 64 KiB of memory. BAR 2: 256 bytes of registers. BAR 4: MSI-X, 8 vectors. ROM: 4 KiB. All
/// BARs have 64 bits. Capabilities: power management at 0x40, MSI with 4 vectors at 0x48, MSI-X at
/// 0x60, function-level reset at 0x6c, 5 bytes of the vendor's at 0x74.
final class PciFixture {
    static final int PM = 0x40;
    static final int MSI = 0x48;
    static final int MSIX = 0x60;
    static final int RESET = 0x6c;
    static final int VENDOR = 0x74;
    static final long GPA_LIMIT = 1L << 52;

    static final IrqInfo IRQS = new IrqInfo(true, 4, 8);
    static final PciIdentity IDENTITY =
            new PciIdentity(0x1234, 0x11e9, 0x038000, 0x02, 0x1af4, 0x1100);
    static final List<RegionInfo> REGIONS =
            List.of(
                    RegionInfo.of(0, "memory", 1 << 16, RegionArea.Kind.LAZY),
                    RegionInfo.of(2, "registers", 256, RegionArea.Kind.TRAPPED),
                    RegionInfo.of(RegionInfo.ROM, "rom", 4096, RegionArea.Kind.TRAPPED));

    final List<Interrupt> interrupts = new ArrayList<>();
    final FunctionInterrupts function;
    final PciConfigSpace config;

    PciFixture() {
        this(new PciOptions(false, java.util.Optional.empty(), List.of(0xde, 0xad)));
    }

    PciFixture(PciOptions options) {
        PciProfile profile =
                new PciProfile(
                        IDENTITY,
                        IRQS,
                        options,
                        REGIONS,
                        BarLayout.of(REGIONS, IRQS, options),
                        List.of());
        function = new FunctionInterrupts(IRQS, options.express(), interrupts::add);
        config = new PciConfigSpace(profile, function, GPA_LIMIT);
    }

    long read(int offset, int width) {
        return config.read(offset, width);
    }

    PciConfigSpace.Written write(int offset, int width, long value) {
        return config.write(offset, width, value);
    }

    MsixTable table() {
        return java.util.Objects.requireNonNull(function.msix());
    }

    void enableBusMaster() {
        write(4, 2, PciConfigSpace.MEMORY | PciConfigSpace.MASTER);
    }
}
