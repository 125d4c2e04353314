package dev.mdev.example;

import dev.mdev.api.Aperture;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.PoolShare;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.SimpleParent;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;

import java.util.List;

/// The smallest driver there is: 16 pages of memory, four a device, mapped as they are touched.
public final class NullDriver implements ParentDriver {
    @Override
    public String name() {
        return "null";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        Aperture aperture = host.allocateAperture("null0", 16);
        var demand = new MdevType.Demand("memory", 4, 1, false);
        var type = new MdevType("null-4", "Null", "4 pages", "vfio-pci", List.of(demand), 4);
        return List.of(
                new SimpleParent(
                        "null0",
                        "A device without a function",
                        aperture,
                        List.of(new ResourcePool("memory", aperture.pfns())),
                        List.of(type),
                        context -> new NullDevice(context.share("memory"))));
    }

    record NullDevice(PoolShare share) implements MdevDevice {
        @Override
        public List<RegionInfo> regions() {
            long sizeBytes = Page.bytesOf(share.npages());
            return List.of(RegionInfo.of(0, "memory", sizeBytes, RegionArea.Kind.LAZY));
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            long pfn = share.pfnOf(request.page());
            return MapDecision.grantPage(request, pfn, Prot.READ_WRITE);
        }

        @Override
        public boolean clearedByHost() {
            return true;
        }

        @Override
        public void reset() {}
    }
}
