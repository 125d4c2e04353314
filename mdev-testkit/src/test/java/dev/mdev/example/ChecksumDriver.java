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
import dev.mdev.api.ResourcePool;

import java.util.List;

/// An accelerator: it computes checksums over guest memory, on a thread of its own ([Accelerator]).
public final class ChecksumDriver implements ParentDriver {
    @Override
    public String name() {
        return "checksum";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        return List.of(new ChecksumParent(host.allocateAperture("checksum0", 8)));
    }

    record ChecksumParent(Aperture aperture) implements ParentDevice {
        @Override
        public String name() {
            return "checksum0";
        }

        @Override
        public String description() {
            return "A checksum accelerator";
        }

        @Override
        public List<ResourcePool> pools() {
            return List.of(new ResourcePool("result", aperture.pfns()));
        }

        @Override
        public List<MdevType> types() {
            var demand = new MdevType.Demand("result", 1, 1, true);
            return List.of(
                    new MdevType(
                            "checksum-1",
                            "Checksum",
                            "FNV-1a over guest memory",
                            MdevType.VFIO_PCI,
                            List.of(demand),
                            8));
        }

        @Override
        public MdevDevice create(MdevContext context) {
            return new Accelerator(aperture, context);
        }
    }

    /// Only a page of results is mapped, and only for loads.
    static MapDecision denyStores(MapRequest request) {
        return new MapDecision.Deny("results are read only: page=" + request.page());
    }
}
