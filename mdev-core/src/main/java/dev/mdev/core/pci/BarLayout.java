package dev.mdev.core.pci;

import dev.mdev.api.BarInfo;
import dev.mdev.api.Errno;
import dev.mdev.api.IrqInfo;
import dev.mdev.api.MdevException;
import dev.mdev.api.MsixPlacement;
import dev.mdev.api.PciOptions;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// The base address registers of a function, and the place of its MSI-X table.
///
/// @param registers BARs in ascending order, then the ROM
/// @param msix the place of the MSI-X table, if there is one
/// @param addedForMsix the BAR that was added for the table, if one was
record BarLayout(
        List<BarRegister> registers,
        Optional<MsixPlacement> msix,
        Optional<RegionInfo> addedForMsix) {
    private static final int BARS = RegionInfo.LAST_BAR + 1;
    private static final long MAX_NARROW_BYTES = 1L << 31;
    private static final long MAX_ROM_BYTES = 16L << 20;
    private static final int MIN_MSIX_BYTES = 4096;

    BarLayout {
        registers = List.copyOf(registers);
    }

    /// @throws MdevException EINVAL if the regions do not fit six registers, or break a rule of
    ///   their kind
    static BarLayout of(List<RegionInfo> regions, IrqInfo irqs, PciOptions options) {
        return new Plan(regions, irqs, options).make();
    }

    /// A layout under construction.
    private static final class Plan {
        private final IrqInfo irqs;
        private final PciOptions options;
        private final Map<Integer, RegionInfo> bars = new HashMap<>();
        private @Nullable RegionInfo rom;

        Plan(List<RegionInfo> regions, IrqInfo irqs, PciOptions options) {
            this.irqs = irqs;
            this.options = options;
            for (RegionInfo region : regions) {
                if (region.isBar()) {
                    require(region.sizeBytes() >= BarRegister.MIN_BYTES, region, "too small");
                    bars.put(region.index(), region);
                } else if (region.index() == RegionInfo.ROM) {
                    requireRom(region);
                    rom = region;
                } else {
                    require(
                            region.index() != RegionInfo.CONFIG,
                            region,
                            "configuration space is the host's");
                }
            }
            for (RegionInfo bar : bars.values()) {
                boolean fits =
                        bar.bar().width() != BarInfo.Width.BITS_64 || isFree(bar.index() + 1);
                require(fits, bar, "the register for the upper half of its address is taken");
            }
        }

        private static void requireRom(RegionInfo region) {
            long size = region.sizeBytes();
            require(
                    Long.bitCount(size) == 1
                            && size >= BarRegister.MIN_ROM_BYTES
                            && size <= MAX_ROM_BYTES,
                    region,
                    "not a size of a ROM");
            require(
                    region.areas().stream().allMatch(BarLayout::isTrapped),
                    region,
                    "a ROM is not mapped");
        }

        /// Whether a register is free for other uses, as far as drivers decide.
        private boolean isFree(int index) {
            RegionInfo below = bars.get(index - 1);
            boolean upperHalf = below != null && below.bar().width() == BarInfo.Width.BITS_64;
            return index < BARS && !bars.containsKey(index) && !upperHalf;
        }

        BarLayout make() {
            Optional<MsixPlacement> msix = Optional.empty();
            Optional<RegionInfo> added = Optional.empty();
            if (irqs.msixVectors() > 0) {
                if (options.msix().isPresent()) {
                    msix = options.msix();
                    requirePlacement(msix.get());
                } else {
                    RegionInfo region = newMsixRegion();
                    added = Optional.of(region);
                    bars.put(region.index(), region);
                    msix =
                            Optional.of(
                                    new MsixPlacement(region.index(), 0, region.sizeBytes() / 2));
                }
            }
            List<BarRegister> registers = new ArrayList<>();
            for (int index = 0; index < BARS; index++) {
                RegionInfo bar = bars.get(index);
                if (bar != null) {
                    registers.add(registerOf(bar));
                }
            }
            if (rom != null) {
                registers.add(new BarRegister(RegionInfo.ROM, rom.sizeBytes(), false, false));
            }
            return new BarLayout(registers, msix, added);
        }

        private BarRegister registerOf(RegionInfo region) {
            boolean wide =
                    switch (region.bar().width()) {
                        case BITS_32 -> false;
                        case BITS_64 -> true;
                        case AUTO -> isFree(region.index() + 1);
                    };
            require(
                    wide || region.sizeBytes() <= MAX_NARROW_BYTES,
                    region,
                    "too large for an address of 32 bits");
            return new BarRegister(
                    region.index(), region.sizeBytes(), wide, region.bar().prefetchable());
        }

        /// A BAR for the table where it costs the least: with room for a 64-bit address if
        /// possible, and from no other BAR if possible.
        private RegionInfo newMsixRegion() {
            int best = -1;
            int bestRank = -1;
            for (int index = 0; index < BARS; index++) {
                int rank = (bars.containsKey(index - 1) ? 0 : 2) + (isFree(index + 1) ? 1 : 0);
                if (isFree(index) && rank >= bestRank) {
                    best = index;
                    bestRank = rank;
                }
            }
            if (best < 0) {
                throw new MdevException(
                        Errno.EINVAL, "no BAR is free for the MSI-X table: say where it is");
            }
            long half =
                    Math.max(
                            MIN_MSIX_BYTES / 2,
                            Long.highestOneBit(2L * MsixTable.tableBytes(irqs.msixVectors()) - 1));
            return RegionInfo.of(best, "msix", 2 * half, RegionArea.Kind.TRAPPED);
        }

        private void requirePlacement(MsixPlacement place) {
            RegionInfo bar = bars.get(place.bar());
            if (bar == null) {
                throw new MdevException(Errno.EINVAL, "no BAR for the MSI-X table: " + place);
            }
            long table = place.tableOffsetBytes();
            long tableEnd = table + MsixTable.tableBytes(irqs.msixVectors());
            long pba = place.pbaOffsetBytes();
            long pbaEnd = pba + MsixTable.pbaBytes(irqs.msixVectors());
            require(
                    isTrapped(bar, table, tableEnd)
                            && isTrapped(bar, pba, pbaEnd)
                            && (tableEnd <= pba || pbaEnd <= table),
                    bar,
                    "no place for the MSI-X table: " + place);
        }
    }

    private static boolean isTrapped(RegionArea area) {
        return area.kind() == RegionArea.Kind.TRAPPED;
    }

    private static boolean isTrapped(RegionInfo region, long start, long end) {
        return end <= region.sizeBytes()
                && region.areas().stream()
                        .allMatch(area ->
                                isTrapped(area)
                                        || area.endBytes() <= start
                                        || end <= area.offsetBytes());
    }

    private static void require(boolean holds, RegionInfo region, String otherwise) {
        if (!holds) {
            throw new MdevException(Errno.EINVAL, otherwise + ": " + region);
        }
    }
}
