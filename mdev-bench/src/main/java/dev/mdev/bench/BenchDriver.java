package dev.mdev.bench;

import dev.mdev.api.Aperture;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.SimpleParent;
import dev.mdev.api.page.Page;

import java.util.List;
import java.util.function.BiFunction;

/// A parent for benchmarks: one pool, one type, and devices with BAR 0 and no registers.
///
/// @param poolPages pages of the parent
/// @param demand of the pool [#POOL]
/// @param area how BAR 0 is mapped; it is as large as the device's share may be
/// @param deciders makes what answers a device's faults
record BenchDriver(
        long poolPages,
        MdevType.Demand demand,
        RegionArea.Kind area,
        BiFunction<Aperture, MdevContext, Decider> deciders)
        implements ParentDriver {
    static final String PARENT = "bench0";
    static final String TYPE = "bench";
    static final String POOL = "vram";

    /// Answers faults.
    @FunctionalInterface
    interface Decider {
        MapDecision decide(MapRequest request);
    }

    @Override
    public String name() {
        return "bench";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        Aperture aperture = host.allocateAperture("bench", poolPages);
        aperture.fill(0, Page.bytesOf(poolPages), (byte) 0);
        MdevType type =
                new MdevType(TYPE, "bench", "pages", MdevType.VFIO_PCI, List.of(demand), 16);
        return List.of(
                new SimpleParent(
                        PARENT,
                        "a parent for benchmarks",
                        aperture,
                        List.of(new ResourcePool(POOL, aperture.pfns())),
                        List.of(type),
                        context ->
                                new Device(
                                        demand.npages(), area, deciders.apply(aperture, context))));
    }

    private record Device(long npages, RegionArea.Kind area, Decider decider)
            implements MdevDevice {
        @Override
        public List<RegionInfo> regions() {
            return List.of(RegionInfo.of(0, "vram", Page.bytesOf(npages), area));
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            return decider.decide(request);
        }

        @Override
        public void reset() {}
    }
}
