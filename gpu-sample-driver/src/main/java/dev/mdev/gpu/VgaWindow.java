package dev.mdev.gpu;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Page;

import java.util.List;

/// Legacy VGA memory, 128 KiB at 0xa0000: it shows the start of the VRAM, as a linear frame buffer.
final class VgaWindow {
    private static final long START_BYTES = 0xa_0000;
    private static final long SIZE_BYTES = 0x2_0000;
    private static final long START_PAGE = START_BYTES / Page.SIZE;

    private VgaWindow() {}

    /// @param isMapped whether guests map its pages
    static RegionInfo region(boolean isMapped) {
        RegionArea.Kind kind = isMapped ? RegionArea.Kind.LAZY : RegionArea.Kind.TRAPPED;
        return new RegionInfo(
                RegionInfo.VGA,
                "vga",
                START_BYTES + SIZE_BYTES,
                List.of(new RegionArea(START_BYTES, SIZE_BYTES, kind)));
    }

    /// The offset in VRAM of an offset in the region, which is in the window.
    static long toVram(long offsetBytes) {
        return offsetBytes - START_BYTES;
    }

    /// The answer to an access: that of the VRAM, in pages of the region.
    static MapDecision decide(MapRequest request, Vram vram) {
        MapRequest inVram =
                new MapRequest(
                        request.region(),
                        request.page() - START_PAGE,
                        Math.max(0, request.firstPage() - START_PAGE),
                        request.endPage() - START_PAGE,
                        request.access(),
                        request.reason());
        return switch (vram.decide(inVram)) {
            case MapDecision.Grant grant ->
                    new MapDecision.Grant(
                            grant.firstPage() + START_PAGE, grant.pfns(), grant.prot());
            case MapDecision.FromPool _ -> new MapDecision.Trap();
            case MapDecision.Trap trap -> trap;
            case MapDecision.Deny deny -> deny;
            case MapDecision.Again again -> again;
        };
    }
}
