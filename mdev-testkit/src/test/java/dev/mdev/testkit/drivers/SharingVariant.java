package dev.mdev.testkit.drivers;

import dev.mdev.api.Aperture;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevType;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;
import java.util.function.Supplier;

/// A driver without a bug whose devices share the last pages of the aperture, made to be changed in
/// one place.
final class SharingVariant extends Variant {
    private static final long ROM_PAGES = 8;

    private final BiFunction<Aperture, MdevContext, MdevDevice> device;

    private SharingVariant(BiFunction<Aperture, MdevContext, MdevDevice> device) {
        this.device = device;
    }

    static Supplier<Variant> with(BiFunction<Aperture, MdevContext, MdevDevice> device) {
        return () -> new SharingVariant(device);
    }

    @Override
    List<ResourcePool> pools(Aperture aperture) {
        PfnRange all = aperture.pfns();
        return List.of(
                new ResourcePool("memory", new PfnRange(all.firstPfn(), all.npages() - ROM_PAGES)),
                new ResourcePool("rom", new PfnRange(all.endPfn() - ROM_PAGES, ROM_PAGES)));
    }

    @Override
    int maxInstances() {
        return DEVICES - 1;
    }

    @Override
    MdevType type(String id, MdevType.Demand... demands) {
        return super.type(id, demands).sharing("rom");
    }

    @Override
    MdevDevice create(Aperture aperture, MdevContext context) {
        return device.apply(aperture, context);
    }

    /// Its region 4 is the shared pages.
    static class Device extends VariantDevice {
        static final int ROM = 4;

        Device(Aperture aperture, MdevContext context) {
            super(aperture, context);
        }

        @Override
        public List<RegionInfo> regions() {
            List<RegionInfo> regions = new ArrayList<>(super.regions());
            regions.add(RegionInfo.of(ROM, "rom", Page.bytesOf(ROM_PAGES), RegionArea.Kind.LAZY));
            return List.copyOf(regions);
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            return request.region() == ROM ? decideRom(request) : super.validateMapRequest(request);
        }

        MapDecision decideRom(MapRequest request) {
            return request.access() == Access.WRITE
                    ? new MapDecision.Deny("read only")
                    : MapDecision.grantPage(request, romPfn() + request.page(), Prot.READ);
        }

        final long romPfn() {
            return aperture.pfns().endPfn() - ROM_PAGES;
        }
    }
}
