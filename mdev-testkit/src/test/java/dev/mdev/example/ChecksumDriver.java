package dev.mdev.example;

import dev.mdev.api.Aperture;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.SimpleParent;

import java.util.List;

/// An accelerator: it computes checksums over guest memory ([Accelerator]).
public final class ChecksumDriver implements ParentDriver {
    @Override
    public String name() {
        return "checksum";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        Aperture aperture = host.allocateAperture("checksum0", 8);
        var demand = new MdevType.Demand("result", 1, 1, true);
        var type =
                new MdevType(
                        "checksum-1",
                        "Checksum",
                        "FNV-1a over guest memory",
                        MdevType.VFIO_PCI,
                        List.of(demand),
                        8);
        return List.of(
                new SimpleParent(
                        "checksum0",
                        "A checksum accelerator",
                        aperture,
                        List.of(new ResourcePool("result", aperture.pfns())),
                        List.of(type),
                        context -> new Accelerator(aperture, context)));
    }

    /// Only a page of results is mapped, and only for loads.
    static MapDecision denyStores(MapRequest request) {
        return new MapDecision.Deny("results are read only: page=" + request.page());
    }
}
