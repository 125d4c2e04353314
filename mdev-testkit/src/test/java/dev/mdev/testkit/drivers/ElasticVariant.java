package dev.mdev.testkit.drivers;

import dev.mdev.api.Aperture;
import dev.mdev.api.ElasticMemory;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevType;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;
import java.util.function.Supplier;

/// A driver without a bug whose devices have, beside their memory, an elastic share in region 4,
/// made to be changed in one place.
final class ElasticVariant extends Variant {
    static final String POOL = "more";
    static final long MIN_PAGES = MdevType.Demand.MIN_UNITS;
    static final long MAX_PAGES = 2 * MIN_PAGES;

    private static final int FITTING = 2;

    private final BiFunction<Aperture, MdevContext, MdevDevice> device;

    private ElasticVariant(BiFunction<Aperture, MdevContext, MdevDevice> device) {
        this.device = device;
    }

    static Supplier<Variant> with(BiFunction<Aperture, MdevContext, MdevDevice> device) {
        return () -> new ElasticVariant(device);
    }

    @Override
    List<ResourcePool> pools(Aperture aperture) {
        PfnRange all = aperture.pfns();
        long memory = FITTING * PAGES_A_DEVICE;
        return List.of(
                new ResourcePool("memory", new PfnRange(all.firstPfn(), memory)),
                new ResourcePool(POOL, new PfnRange(all.firstPfn() + memory, FITTING * MIN_PAGES)));
    }

    @Override
    int maxInstances() {
        return FITTING;
    }

    @Override
    MdevType type(String id, MdevType.Demand... demands) {
        List<MdevType.Demand> all = new ArrayList<>(List.of(demands));
        all.add(MdevType.Demand.elastic(POOL, MIN_PAGES, MAX_PAGES, 1));
        return super.type(id, all.toArray(MdevType.Demand[]::new));
    }

    @Override
    MdevDevice create(Aperture aperture, MdevContext context) {
        return device.apply(aperture, context);
    }

    /// Its region 4 is the elastic share.
    static class Device extends VariantDevice {
        static final int MORE = 4;

        final ElasticMemory more;

        Device(Aperture aperture, MdevContext context) {
            super(aperture, context);
            more = context.elastic(POOL);
        }

        @Override
        public List<RegionInfo> regions() {
            List<RegionInfo> regions = new ArrayList<>(super.regions());
            regions.add(RegionInfo.of(MORE, "more", more.sizeBytes(), RegionArea.Kind.LAZY));
            return List.copyOf(regions);
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            return request.region() == MORE
                    ? decideMore(request)
                    : super.validateMapRequest(request);
        }

        MapDecision decideMore(MapRequest request) {
            return more.grant(request, POOL, 1, Prot.READ_WRITE);
        }
    }
}
