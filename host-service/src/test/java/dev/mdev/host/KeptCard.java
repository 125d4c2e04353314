package dev.mdev.host;

import dev.mdev.api.Aperture;
import dev.mdev.api.ElasticMemory;
import dev.mdev.api.FilePages;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.SimpleParent;
import dev.mdev.api.page.Caching;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/// A card whose memory is a file, which keeps its content when the service is killed. Its devices
/// together may use more than it has.
///
/// @param file as long as the card's memory
record KeptCard(Path file) implements ParentDriver {
    static final String PARENT = "kept0";
    static final String TYPE = "kept-elastic";
    static final int MIN_PAGES = 8;
    static final int MAX_PAGES = 64;
    static final int DEVICES = 4;
    private static final String POOL = "memory";

    @Override
    public String name() {
        return "kept";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        Aperture aperture = host.mapAperture(PARENT, List.of(pages()));
        MdevType type =
                new MdevType(
                        TYPE,
                        "Kept",
                        "8 to 64 pages",
                        MdevType.VFIO_PCI,
                        List.of(MdevType.Demand.elastic(POOL, MIN_PAGES, MAX_PAGES, 1)),
                        DEVICES);
        return List.of(
                new SimpleParent(
                        PARENT,
                        "a card whose memory is a file",
                        aperture,
                        List.of(new ResourcePool(POOL, aperture.pfns())),
                        List.of(type),
                        context -> new Device(context.elastic(POOL))));
    }

    private FilePages pages() {
        try {
            return new FilePages(file, 0, Page.numberOf(Files.size(file)), Caching.WRITE_BACK);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private record Device(ElasticMemory memory) implements MdevDevice {
        @Override
        public List<RegionInfo> regions() {
            long sizeBytes = memory.sizeBytes();
            return List.of(RegionInfo.of(0, "memory", sizeBytes, RegionArea.Kind.LAZY));
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            return memory.grant(request, POOL, 1, Prot.READ_WRITE);
        }

        @Override
        public void reset() {}
    }
}
