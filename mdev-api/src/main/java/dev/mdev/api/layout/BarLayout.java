package dev.mdev.api.layout;

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
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// The base address registers of a device, and the place of its MSI-X table. They follow from the
/// driver's description of its regions and interrupts, which this class checks.
///
/// @param bars BARs in ascending order, then the ROM
/// @param msix where the MSI-X table is, if there is one
/// @param addedForMsix the BAR that the host adds for the table, if it adds one
public record BarLayout(
        List<Bar> bars, Optional<MsixPlacement> msix, Optional<RegionInfo> addedForMsix) {
    /// The maximum number of regions of a device.
    public static final int MAX_REGIONS = 64;

    /// The maximum number of areas of a region.
    public static final int MAX_AREAS = 1024;

    /// The smallest memory BAR: the bits below are the register's type.
    public static final long MIN_BAR_BYTES = 16;

    /// The smallest expansion ROM.
    public static final long MIN_ROM_BYTES = 2048;

    /// The largest expansion ROM.
    public static final long MAX_ROM_BYTES = 16L << 20;

    private static final int MSIX_ENTRY_BYTES = 16;
    private static final int BARS = RegionInfo.LAST_BAR + 1;
    private static final long MAX_NARROW_BYTES = 1L << 31;
    private static final int MIN_MSIX_BYTES = 4096;

    /// One base address register, or the pair of them that a 64-bit BAR takes.
    ///
    /// @param region the region's index: 0 to 5, or [RegionInfo#ROM]
    /// @param sizeBytes a power of two
    /// @param wide whether it has 64 bits
    /// @param prefetchable whether reads have no side effects
    public record Bar(int region, long sizeBytes, boolean wide, boolean prefetchable) {}

    public BarLayout {
        bars = List.copyOf(bars);
    }

    /// Bytes of an MSI-X table.
    public static int msixTableBytes(int vectors) {
        return vectors * MSIX_ENTRY_BYTES;
    }

    /// Bytes of the pending bits of an MSI-X table.
    public static int msixPendingBytes(int vectors) {
        return (vectors + 63) / 64 * 8;
    }

    /// Lays a device out.
    ///
    /// @param regions the answer of [dev.mdev.api.MdevDevice#regions]
    /// @param irqs the answer of [dev.mdev.api.MdevDevice#irqs]
    /// @param options the answer of [dev.mdev.api.MdevDevice#pci]
    /// @throws MdevException EINVAL if there are too many regions or areas, two regions have one
    ///   index, the regions do not fit six registers, or one breaks a rule of its kind
    public static BarLayout of(List<RegionInfo> regions, IrqInfo irqs, PciOptions options) {
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
            requireFew("regions", regions.size(), MAX_REGIONS);
            Set<Integer> indexes = new HashSet<>();
            for (RegionInfo region : regions) {
                requireFew("areas of a region", region.areas().size(), MAX_AREAS);
                ParentLayout.requireText("name of region=" + region.index(), region.name());
                require(indexes.add(region.index()), region, "two regions of one index");
                if (region.isBar()) {
                    require(region.sizeBytes() >= MIN_BAR_BYTES, region, "too small for a BAR");
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

        private static void requireFew(String what, int count, int most) {
            if (count > most) {
                throw new MdevException(
                        Errno.EINVAL,
                        "%d %s, at most %d are possible".formatted(count, what, most));
            }
        }

        private static void requireRom(RegionInfo region) {
            long size = region.sizeBytes();
            require(
                    Long.bitCount(size) == 1 && size >= MIN_ROM_BYTES && size <= MAX_ROM_BYTES,
                    region,
                    "not a size of a ROM");
            require(
                    region.areas().stream().allMatch(BarLayout::isTrapped),
                    region,
                    "a ROM is not mapped");
        }

        /// Whether the driver leaves a register free.
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
            List<Bar> laidOut = new ArrayList<>();
            for (int index = 0; index < BARS; index++) {
                RegionInfo bar = bars.get(index);
                if (bar != null) {
                    laidOut.add(barOf(bar));
                }
            }
            if (rom != null) {
                laidOut.add(new Bar(RegionInfo.ROM, rom.sizeBytes(), false, false));
            }
            return new BarLayout(laidOut, msix, added);
        }

        private Bar barOf(RegionInfo region) {
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
            return new Bar(region.index(), region.sizeBytes(), wide, region.bar().prefetchable());
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
                            Long.highestOneBit(2L * msixTableBytes(irqs.msixVectors()) - 1));
            return RegionInfo.of(best, "msix", 2 * half, RegionArea.Kind.TRAPPED);
        }

        private void requirePlacement(MsixPlacement place) {
            RegionInfo bar = bars.get(place.bar());
            if (bar == null) {
                throw new MdevException(Errno.EINVAL, "no BAR for the MSI-X table: " + place);
            }
            long table = place.tableOffsetBytes();
            long tableEnd = table + msixTableBytes(irqs.msixVectors());
            long pba = place.pbaOffsetBytes();
            long pbaEnd = pba + msixPendingBytes(irqs.msixVectors());
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
