package dev.mdev.api.layout;

import dev.mdev.api.DoorbellInfo;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MsixPlacement;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;

import java.util.List;

/// What the host checks of a device's doorbells.
public final class DoorbellLayout {
    private DoorbellLayout() {}

    /// Checks the doorbells of a device.
    ///
    /// @param doorbells the answer of [dev.mdev.api.MdevDevice#doorbells]
    /// @param regions the answer of [dev.mdev.api.MdevDevice#regions]
    /// @param vectors vectors of MSI-X
    /// @throws MdevException EINVAL if there are too many, or one is outside of the driver's BARs,
    ///   on a mapped area, on the MSI-X table, or on another doorbell
    public static void check(
            List<DoorbellInfo> doorbells, List<RegionInfo> regions, BarLayout bars, int vectors) {
        if (doorbells.size() > DoorbellInfo.MAX_DOORBELLS) {
            throw new MdevException(
                    Errno.EINVAL,
                    "%d doorbells, at most %d are possible"
                            .formatted(doorbells.size(), DoorbellInfo.MAX_DOORBELLS));
        }
        for (int i = 0; i < doorbells.size(); i++) {
            DoorbellInfo doorbell = doorbells.get(i);
            requirePlace(doorbell, regions);
            bars.msix().ifPresent(msix -> requireBesideTable(doorbell, msix, vectors));
            for (DoorbellInfo other : doorbells.subList(0, i)) {
                require(
                        doorbell.region() != other.region()
                                || isApart(doorbell, other.offsetBytes(), other.widthBytes()),
                        doorbell,
                        "two doorbells overlap");
            }
        }
    }

    private static void requirePlace(DoorbellInfo doorbell, List<RegionInfo> regions) {
        RegionInfo bar =
                regions.stream()
                        .filter(region -> region.index() == doorbell.region())
                        .findFirst()
                        .orElseThrow(() ->
                                new MdevException(
                                        Errno.EINVAL, "no BAR for a doorbell: " + doorbell));
        require(
                doorbell.offsetBytes() <= bar.sizeBytes() - doorbell.widthBytes(),
                doorbell,
                "a doorbell outside of its BAR");
        require(
                bar.areas().stream()
                        .filter(area -> area.kind() != RegionArea.Kind.TRAPPED)
                        .allMatch(area -> isApart(doorbell, area.offsetBytes(), area.sizeBytes())),
                doorbell,
                "a doorbell on a mapped area");
    }

    private static void requireBesideTable(DoorbellInfo doorbell, MsixPlacement msix, int vectors) {
        require(
                doorbell.region() != msix.bar()
                        || (isApart(
                                        doorbell,
                                        msix.tableOffsetBytes(),
                                        BarLayout.msixTableBytes(vectors))
                                && isApart(
                                        doorbell,
                                        msix.pbaOffsetBytes(),
                                        BarLayout.msixPendingBytes(vectors))),
                doorbell,
                "a doorbell on the MSI-X table");
    }

    private static boolean isApart(DoorbellInfo doorbell, long offsetBytes, long lengthBytes) {
        return doorbell.offsetBytes() + doorbell.widthBytes() <= offsetBytes
                || offsetBytes + lengthBytes <= doorbell.offsetBytes();
    }

    private static void require(boolean holds, DoorbellInfo doorbell, String otherwise) {
        if (!holds) {
            throw new MdevException(Errno.EINVAL, otherwise + ": " + doorbell);
        }
    }
}
