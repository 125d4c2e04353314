package dev.mdev.core.support;

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
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Objects;

/// A parent whose devices have [#OWN_PAGES] pages each in BAR 0, which has room for as many again,
/// and share [#SHARED_PAGES] pages in BAR 2.
public final class SharingDriver implements ParentDriver {
    public static final String PARENT = "sharing0";
    public static final String TYPE = "sharing-4p";
    public static final int OWN_PAGES = 4;
    public static final int SHARED_PAGES = 4;
    public static final int OWN_BAR = 0;
    public static final int SHARED_BAR = 2;
    public static final int DEVICES = 3;
    private static final long ALL_OWN_PAGES = (long) DEVICES * OWN_PAGES;

    private static final MdevType DEVICE_TYPE =
            new MdevType(
                            TYPE,
                            "Sharing",
                            "4 pages, and 4 that all have",
                            MdevType.VFIO_PCI,
                            List.of(new MdevType.Demand("own", OWN_PAGES, 1, false)),
                            DEVICES)
                    .sharing("shared");

    /// Whether accesses to BAR 0 are granted all pages that are asked for from the touched one on,
    /// also past the device's own: after the last of these in the aperture come the shared ones.
    public volatile boolean grantsPastOwn;

    private @Nullable Aperture aperture;

    /// The first word of a shared page.
    public static long contentOf(int page) {
        return 0x5EED_0000_0000L + page;
    }

    /// The first word of a shared page, as the driver reads it.
    public long sharedLong(int page) {
        MemorySegment word = MemorySegment.ofArray(new long[1]);
        Objects.requireNonNull(aperture).read(Page.addressOf(ALL_OWN_PAGES + page), word);
        return word.get(ValueLayout.JAVA_LONG, 0);
    }

    @Override
    public String name() {
        return "sharing";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        Aperture all = host.allocateAperture(PARENT, ALL_OWN_PAGES + SHARED_PAGES);
        aperture = all;
        for (int page = 0; page < SHARED_PAGES; page++) {
            all.write(
                    Page.addressOf(ALL_OWN_PAGES + page),
                    MemorySegment.ofArray(new long[] {contentOf(page)}));
        }
        long first = all.pfns().firstPfn();
        long firstShared = first + ALL_OWN_PAGES;
        return List.of(
                new SimpleParent(
                        PARENT,
                        "a parent for tests",
                        all,
                        List.of(
                                new ResourcePool("own", new PfnRange(first, ALL_OWN_PAGES)),
                                new ResourcePool(
                                        "shared", new PfnRange(firstShared, SHARED_PAGES))),
                        List.of(DEVICE_TYPE),
                        context -> new Device(this, context, firstShared)));
    }

    private record Device(SharingDriver driver, MdevContext context, long firstShared)
            implements MdevDevice {
        @Override
        public List<RegionInfo> regions() {
            return List.of(
                    RegionInfo.lazy(OWN_BAR, "own", Page.bytesOf(2 * OWN_PAGES), 2 * OWN_PAGES),
                    RegionInfo.of(
                            SHARED_BAR,
                            "shared",
                            Page.bytesOf(SHARED_PAGES),
                            RegionArea.Kind.LAZY));
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            if (request.region() == OWN_BAR) {
                long npages = driver.grantsPastOwn ? request.endPage() - request.page() : 1;
                long pfn = context.share("own").pfnOf(0) + request.page();
                return new MapDecision.Grant(
                        request.page(), new PfnRange(pfn, npages), Prot.READ_WRITE);
            }
            return request.access() == Access.WRITE
                    ? new MapDecision.Deny("read only")
                    : MapDecision.grantPage(request, firstShared + request.page(), Prot.READ);
        }

        @Override
        public void reset() {}
    }
}
