package dev.mdev.core.mapping;

import dev.mdev.api.RegionArea;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.hostmm.VmaOps;

import java.util.concurrent.CopyOnWriteArrayList;

/// Where a region of the device is mapped: the way back from the device to guests' mappings.
public final class RegionReverseMap {
    private final CopyOnWriteArrayList<Mapping> all = new CopyOnWriteArrayList<>();

    private record Mapping(HostMm mm, int region, long firstPage, long endPage, Vma vma) {}

    public Vma map(HostMm mm, int region, RegionArea area, VmaOps ops) {
        long firstPage = Page.numberOf(area.offsetBytes());
        long npages = Page.numberOf(area.sizeBytes());
        Vma vma = mm.reserve(npages, Prot.READ_WRITE, firstPage, ops);
        all.add(new Mapping(mm, region, firstPage, firstPage + npages, vma));
        return vma;
    }

    public void unmap(Vma vma) {
        for (Mapping mapping : all) {
            if (mapping.vma == vma) {
                mapping.mm.remove(vma);
                all.remove(mapping);
            }
        }
    }

    public void zap(int region, long firstPage, long endPage) {
        for (Mapping mapping : all) {
            long first = Math.max(firstPage, mapping.firstPage);
            long end = Math.min(endPage, mapping.endPage);
            if (mapping.region == region && first < end) {
                long hva =
                        mapping.vma.range().startHva() + Page.addressOf(first - mapping.firstPage);
                mapping.mm.zap(HvaRange.ofPages(hva, end - first));
            }
        }
    }

    public void zapAll() {
        all.forEach(mapping -> mapping.mm.zap(mapping.vma.range()));
    }

    public void clear() {
        for (Mapping mapping : all) {
            mapping.mm.remove(mapping.vma);
            all.remove(mapping);
        }
    }

    public long residentPages(int region) {
        return all.stream()
                .filter(mapping -> mapping.region == region)
                .mapToLong(mapping -> mapping.vma.residentPages())
                .sum();
    }

    /// Pages of `[firstPage, endPage)` of a region that are mapped now, each as often as it is.
    public long residentPages(int region, long firstPage, long endPage) {
        long pages = 0;
        for (Mapping mapping : all) {
            long first = Math.max(firstPage, mapping.firstPage);
            long end = Math.min(endPage, mapping.endPage);
            if (mapping.region == region && first < end) {
                pages +=
                        mapping.vma.residentPages(
                                first - mapping.firstPage, end - mapping.firstPage);
            }
        }
        return pages;
    }
}
