package dev.mdev.example;

import dev.mdev.api.Aperture;
import dev.mdev.api.DeviceState;
import dev.mdev.api.ElasticMemory;
import dev.mdev.api.Errno;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.SimpleParent;
import dev.mdev.api.page.Prot;

import java.io.DataInput;
import java.io.DataOutput;
import java.util.List;
import java.util.Optional;

/// Memory that is larger than it is: each of four devices shows 64 pages, and there are 64 in all.
/// A device always has 16; others come when a guest touches them, and may go again.
public final class PagingDriver implements ParentDriver {
    static final int LEAST_PAGES = 16;
    static final int PAGES = 64;

    @Override
    public String name() {
        return "paging";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        Aperture aperture = host.allocateAperture("paging0", 4 * LEAST_PAGES);
        var demand = MdevType.Demand.elastic("frames", LEAST_PAGES, PAGES, 1);
        var type = new MdevType("paging-64", "Paging", "64 pages", "vfio-pci", List.of(demand), 4);
        return List.of(
                new SimpleParent(
                        "paging0",
                        "64 pages that look like 256",
                        aperture,
                        List.of(new ResourcePool("frames", aperture.pfns())),
                        List.of(type),
                        context -> new Paged(context.elastic("frames"))));
    }

    record Paged(ElasticMemory memory) implements MdevDevice, DeviceState {
        @Override
        public List<RegionInfo> regions() {
            long sizeBytes = memory.sizeBytes();
            return List.of(RegionInfo.of(0, "memory", sizeBytes, RegionArea.Kind.LAZY));
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            return memory.grant(request, "frames", 1, Prot.READ_WRITE);
        }

        /// For guests whose machine cannot map the page.
        @Override
        public long read(int region, long offsetBytes, int widthBytes) {
            return memory.load(offsetBytes, widthBytes);
        }

        @Override
        public void write(int region, long offsetBytes, int widthBytes, long value) {
            memory.store(offsetBytes, widthBytes, value);
        }

        /// The host has cleared the pages.
        @Override
        public void reset() {}

        @Override
        public Optional<DeviceState> state() {
            return Optional.of(this);
        }

        /// The host carries the content of the pages, wherever it is. There is nothing else.
        @Override
        public void save(DataOutput out) {}

        @Override
        public void restore(int version, DataInput in) {
            if (version != 1) {
                throw new MdevException(Errno.EINVAL, "version=" + version);
            }
        }
    }
}
