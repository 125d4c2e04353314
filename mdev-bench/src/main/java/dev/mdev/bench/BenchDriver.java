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
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Objects;

/// A driver that only grants.
///
/// @param kind as [FaultBench.Case] has it
/// @param grant pages per grant
/// @param pages of a device
/// @param devices the number of devices that fit
record BenchDriver(String kind, int grant, int pages, int devices) implements ParentDriver {
    static final String PARENT = "bench0";
    static final String TYPE = "bench";

    @Override
    public String name() {
        return "bench";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        Aperture aperture = host.allocateAperture("bench", (long) pages * devices);
        aperture.fill(0, Page.bytesOf(aperture.pfns().npages()), (byte) 0);
        MdevType type =
                new MdevType(
                        TYPE,
                        "bench",
                        "pages",
                        MdevType.VFIO_PCI,
                        List.of(new MdevType.Demand("vram", pages, pages, true)),
                        16);
        return List.of(new Parent(aperture, type));
    }

    private final class Parent implements ParentDevice {
        private final Aperture aperture;
        private final MdevType type;

        Parent(Aperture aperture, MdevType type) {
            this.aperture = aperture;
            this.type = type;
        }

        @Override
        public String name() {
            return PARENT;
        }

        @Override
        public String description() {
            return "a parent for benchmarks";
        }

        @Override
        public Aperture aperture() {
            return aperture;
        }

        @Override
        public List<ResourcePool> pools() {
            return List.of(new ResourcePool("vram", aperture.pfns()));
        }

        @Override
        public List<MdevType> types() {
            return List.of(type);
        }

        @Override
        public MdevDevice create(MdevContext context) {
            return new Device(context);
        }

        @Override
        public void close() {}
    }

    private final class Device implements MdevDevice {
        private final MdevContext context;
        private @Nullable PfnRange vram;

        Device(MdevContext context) {
            this.context = context;
        }

        @Override
        public List<RegionInfo> regions() {
            RegionArea.Kind area =
                    kind.equals("eager") ? RegionArea.Kind.EAGER : RegionArea.Kind.LAZY;
            return List.of(RegionInfo.of(0, "vram", Page.bytesOf(pages), area));
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            PfnRange all = vram;
            if (all == null) {
                all = context.share("vram").extentFrom(0);
                vram = all;
            }
            if (kind.equals("eager")) {
                return new MapDecision.Grant(0, all, Prot.READ_WRITE);
            }
            long run = request.page() / grant;
            long first = run * grant;
            long physical = kind.equals("mmap") ? (pages / grant - 1 - run) * grant : first;
            return new MapDecision.Grant(
                    first, new PfnRange(all.firstPfn() + physical, grant), Prot.READ_WRITE);
        }

        @Override
        public long read(int region, long offsetBytes, int widthBytes) {
            return 0;
        }

        @Override
        public void write(int region, long offsetBytes, int widthBytes, long value) {}

        @Override
        public void reset() {
            vram = null;
        }

        @Override
        public void close() {
            Objects.requireNonNull(context);
        }
    }
}
