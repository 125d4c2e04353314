package dev.mdev.testkit.drivers;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.PoolShare;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import java.util.List;
import java.util.function.Supplier;

/// Bugs in which page is where: in long extents, at upgrades, ahead of touches, when pages move.
@SuppressWarnings("ImmutableEnumChecker") // suppliers of fresh drivers
enum PageBug implements SeededBug {
    GRANTS_THE_FIRST_PAGE_OF_AN_EXTENT(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public MapDecision validateMapRequest(MapRequest request) {
                            long pfn = share.pfnOf(request.page());
                            PfnRange around =
                                    share.extents().stream()
                                            .filter(extent -> extent.contains(pfn))
                                            .findFirst()
                                            .orElseThrow();
                            return MapDecision.grantPage(
                                    request, around.firstPfn(), Prot.READ_WRITE);
                        }
                    }),
            "twoPagesAreNeverOnePhysicalPage",
            "is both"),

    MIXES_UP_A_SHARE_IN_ONE_PIECE(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public MapDecision validateMapRequest(MapRequest request) {
                            boolean mixesUp =
                                    share.extents().size() == 1
                                            && request.reason() == MapRequest.Reason.AFTER_REVOKE;
                            long page = mixesUp ? request.page() ^ 1 : request.page();
                            return MapDecision.grantPage(request, pfnOf(page), Prot.READ_WRITE);
                        }
                    }),
            "whatWasStoredIsThereAfterARevocation",
            "holds"),

    MIXES_UP_A_SCATTERED_SHARE(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public MapDecision validateMapRequest(MapRequest request) {
                            long firstPfn = share.extents().getFirst().firstPfn();
                            long pfn =
                                    Math.min(
                                            firstPfn + request.page(),
                                            aperture.pfns().endPfn() - 1);
                            return MapDecision.grantPage(request, pfn, Prot.READ_WRITE);
                        }
                    }),
            "grantsKeepToTheShareTheWindowAndTheRights",
            "not this device's"),

    MOVES_A_NEIGHBOUR_AT_AN_UPGRADE(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public MapDecision validateMapRequest(MapRequest request) {
                            Prot prot =
                                    request.access() == Access.READ ? Prot.READ : Prot.READ_WRITE;
                            long page = request.page() & ~1L;
                            boolean both =
                                    page >= request.firstPage() && page + 2 <= request.endPage();
                            boolean turned = prot == Prot.READ_WRITE && both;
                            if (!turned) {
                                return MapDecision.grantPage(request, pfnOf(request.page()), prot);
                            }
                            return new MapDecision.Grant(
                                    page, new PfnRange(pfnOf(page ^ 2), 2), prot);
                        }
                    }),
            "grantsKeepToTheShareTheWindowAndTheRights",
            "moves a page"),

    MAPS_NOTHING_OF_AN_EAGER_AREA_AHEAD(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public List<RegionInfo> regions() {
                            return List.of(
                                    RegionInfo.of(
                                            MEMORY,
                                            "memory",
                                            Page.bytesOf(share.npages()),
                                            RegionArea.Kind.EAGER),
                                    RegionInfo.of(
                                            REGISTERS,
                                            "registers",
                                            Page.SIZE,
                                            RegionArea.Kind.TRAPPED));
                        }

                        @Override
                        public MapDecision validateMapRequest(MapRequest request) {
                            return request.reason() == MapRequest.Reason.PREFETCH
                                    ? new MapDecision.Deny("not ahead")
                                    : super.validateMapRequest(request);
                        }
                    }),
            "eagerAreasAreMappedAhead",
            "can be mapped ahead"),

    GRANTS_ANOTHER_PAGE_AHEAD(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public List<RegionInfo> regions() {
                            return List.of(
                                    RegionInfo.of(
                                            MEMORY,
                                            "memory",
                                            Page.bytesOf(share.npages()),
                                            RegionArea.Kind.EAGER),
                                    RegionInfo.of(
                                            REGISTERS,
                                            "registers",
                                            Page.SIZE,
                                            RegionArea.Kind.TRAPPED));
                        }

                        @Override
                        public MapDecision validateMapRequest(MapRequest request) {
                            long page =
                                    request.reason() == MapRequest.Reason.PREFETCH
                                            ? request.page() ^ 1
                                            : request.page();
                            return MapDecision.grantPage(request, pfnOf(page), Prot.READ_WRITE);
                        }
                    }),
            "aMappedPageKeepsItsPhysicalPage",
            "moves a page"),

    FAILS_AHEAD_WITH_A_BUG(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public List<RegionInfo> regions() {
                            return List.of(
                                    RegionInfo.of(
                                            MEMORY,
                                            "memory",
                                            Page.bytesOf(share.npages()),
                                            RegionArea.Kind.EAGER),
                                    RegionInfo.of(
                                            REGISTERS,
                                            "registers",
                                            Page.SIZE,
                                            RegionArea.Kind.TRAPPED));
                        }

                        @Override
                        public MapDecision validateMapRequest(MapRequest request) {
                            if (request.reason() == MapRequest.Reason.PREFETCH) {
                                throw new IllegalStateException("not ahead");
                            }
                            return super.validateMapRequest(request);
                        }
                    }),
            "eagerAreasAreMappedAhead",
            "not ahead"),

    GRANTS_SHARED_PAGES_FOR_STORES(
            SharingVariant.with((aperture, context) ->
                    new SharingVariant.Device(aperture, context) {
                        @Override
                        MapDecision decideRom(MapRequest request) {
                            return MapDecision.grantPage(
                                    request, romPfn() + request.page(), Prot.READ_WRITE);
                        }
                    }),
            "grantsKeepToTheShareTheWindowAndTheRights",
            "read-only"),

    STORES_TO_SHARED_PAGES(
            SharingVariant.with((aperture, context) ->
                    new SharingVariant.Device(aperture, context) {
                        @Override
                        public void write(
                                int region, long offsetBytes, int widthBytes, long value) {
                            super.write(region, offsetBytes, widthBytes, value);
                            aperture.fill(aperture.offsetOf(romPfn()), 1, (byte) value);
                        }
                    }),
            "pagesThatDevicesShareKeepTheirContent",
            "all share"),

    PAGES_WITHOUT_REVOKING(
            Variant.of((aperture, context) ->
                    new PagingVariant(aperture, context) {
                        @Override
                        void evict(int frame) {
                            byte[] content = read(frame);
                            evicted.put(pageIn[frame], content);
                        }
                    }),
            "twoPagesAreNeverOnePhysicalPage",
            "is both"),

    LOSES_WHAT_IT_EVICTED(
            Variant.of((aperture, context) ->
                    new PagingVariant(aperture, context) {
                        @Override
                        void evict(int frame) {
                            context.revoke(MEMORY, pageIn[frame], 1);
                        }
                    }),
            "whatWasStoredIsThereAfterARevocation",
            "holds"),

    COPIES_BEFORE_IT_REVOKES(
            Variant.of((aperture, context) ->
                    new PagingVariant(aperture, context) {
                        @Override
                        void evict(int frame) {
                            byte[] content = read(frame);
                            Variant.pause(2);
                            context.revoke(MEMORY, pageIn[frame], 1);
                            evicted.put(pageIn[frame], content);
                        }
                    }),
            "pagesThatAreTouchedAtOnceDoNotGetMixedUp",
            "stored was"),

    IS_CONCURRENT_WITHOUT_A_LOCK(
            Variant.of((aperture, context) ->
                    new PagingVariant(aperture, context) {
                        @Override
                        public boolean isConcurrent() {
                            return true;
                        }

                        @Override
                        int takeFrame() {
                            int frame = next;
                            Variant.pause(1);
                            next = (frame + 1) % FRAMES;
                            return frame;
                        }
                    }),
            "pagesThatAreTouchedAtOnceDoNotGetMixedUp",
            ""),

    FORGETS_ITS_PAGES_AT_A_MOVE(
            Variant.of((aperture, context) ->
                    new PagingVariant(aperture, context) {
                        @Override
                        public void shareMoved(List<PoolShare> shares) {
                            super.shareMoved(shares);
                            evicted.clear();
                        }
                    }),
            "aMovedDeviceGoesOnInItsNewPages",
            "holds"),

    KEEPS_ITS_OLD_PAGES_AT_A_MOVE(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public void shareMoved(List<PoolShare> shares) {
                            // the bug
                        }
                    }),
            "aMovedDeviceGoesOnInItsNewPages",
            "not this device's"),

    STORES_TO_ITS_OLD_PAGES_AFTER_A_MOVE(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        private final long first = aperture.offsetOf(pfnOf(0));

                        @Override
                        public long read(int region, long offsetBytes, int widthBytes) {
                            aperture.fill(first, 8, (byte) 7);
                            return super.read(region, offsetBytes, widthBytes);
                        }
                    }),
            "aMovedDeviceGoesOnInItsNewPages",
            ""),

    CLEARS_ITS_REGISTERS_AT_A_MOVE(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public void shareMoved(List<PoolShare> shares) {
                            super.shareMoved(shares);
                            clearScratch();
                        }
                    }),
            "aMovedDeviceGoesOnInItsNewPages",
            "registers after a move"),

    CLEARS_ITS_PAGES_AT_A_MOVE(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public void shareMoved(List<PoolShare> shares) {
                            super.shareMoved(shares);
                            clearMemory();
                        }
                    }),
            "aMovedDeviceGoesOnInItsNewPages",
            "holds");

    private final Supplier<Variant> driver;
    private final String test;
    private final String says;

    PageBug(Supplier<Variant> driver, String test, String says) {
        this.driver = driver;
        this.test = test;
        this.says = says;
    }

    @Override
    public Variant newDriver() {
        return driver.get();
    }

    @Override
    public String foundBy() {
        return test;
    }

    @Override
    public String says() {
        return says;
    }
}
