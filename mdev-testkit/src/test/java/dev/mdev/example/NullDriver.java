package dev.mdev.example;

import dev.mdev.api.Aperture;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.PoolShare;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ResourcePool;
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
        return List.of(new NullParent(host.allocateAperture("null0", 16)));
    }

    record NullParent(Aperture aperture) implements ParentDevice {
        @Override
        public String name() {
            return "null0";
        }

        @Override
        public String description() {
            return "A device without a function";
        }

        @Override
        public List<ResourcePool> pools() {
            return List.of(new ResourcePool("memory", aperture.pfns()));
        }

        @Override
        public List<MdevType> types() {
            var demand = new MdevType.Demand("memory", 4, 1, false);
            return List.of(
                    new MdevType("null-4", "Null", "4 pages", "vfio-pci", List.of(demand), 4));
        }

        @Override
        public MdevDevice create(MdevContext context) {
            return new NullDevice(context.share("memory"));
        }
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
