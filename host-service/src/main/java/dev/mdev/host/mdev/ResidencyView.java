package dev.mdev.host.mdev;

import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Page;
import dev.mdev.core.device.Mdev;

import java.util.List;
import java.util.UUID;
import java.util.stream.LongStream;

/// Which pages of a device are mapped now, as a row of cells for each region.
///
/// @param regions the regions that a guest sees
record ResidencyView(UUID uuid, List<Region> regions) {

    /// @param pages the size of the region
    /// @param pagesPerCell a power of two; the last cell may have fewer
    /// @param resident the mapped pages of each cell
    record Region(int index, String name, long pages, long pagesPerCell, List<Long> resident) {}

    /// @param cells the most cells of a region
    static ResidencyView of(Mdev mdev, int cells) {
        return new ResidencyView(
                mdev.uuid(),
                mdev.regions().stream().map(region -> region(mdev, region, cells)).toList());
    }

    private static Region region(Mdev mdev, RegionInfo region, int cells) {
        long pages = Page.numberOf(region.sizeBytes());
        long perCell = pagesPerCell(pages, cells);
        List<Long> resident =
                LongStream.iterate(0, first -> first < pages, first -> first + perCell)
                        .map(first -> mapped(mdev, region, first, Math.min(pages, first + perCell)))
                        .boxed()
                        .toList();
        return new Region(region.index(), region.name(), pages, perCell, resident);
    }

    private static long mapped(Mdev mdev, RegionInfo region, long firstPage, long endPage) {
        return mdev.residentPages(region.index(), firstPage, endPage);
    }

    /// The smallest power of two with which `pages` make at most `cells` cells.
    static long pagesPerCell(long pages, int cells) {
        long least = Math.ceilDiv(Math.max(pages, 1), cells);
        return least == 1 ? 1 : Long.highestOneBit(least - 1) << 1;
    }
}
