package dev.mdev.testkit.drivers;

import dev.mdev.api.ElasticMemory;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.function.Supplier;

/// Bugs with pages that come when they are used and go when others need them.
@SuppressWarnings("ImmutableEnumChecker") // suppliers of fresh drivers
enum ElasticBug implements SeededBug {
    NAMES_THE_PLACES_OF_ELASTIC_PAGES(
            ElasticVariant.with((aperture, context) ->
                    new ElasticVariant.Device(aperture, context) {
                        @Override
                        MapDecision decideMore(MapRequest request) {
                            OptionalLong pfn = more.pfnOf(request.page());
                            return pfn.isPresent()
                                    ? MapDecision.grantPage(
                                            request, pfn.getAsLong(), Prot.READ_WRITE)
                                    : super.decideMore(request);
                        }
                    }),
            "grantsKeepToTheShareTheWindowAndTheRights",
            "not this device's"),

    TAKES_A_FIXED_POOL_FOR_AN_ELASTIC_ONE(
            ElasticVariant.with((aperture, context) ->
                    new ElasticVariant.Device(aperture, context) {
                        @Override
                        MapDecision decideMore(MapRequest request) {
                            return more.grant(request, "memory", 1, Prot.READ_WRITE);
                        }
                    }),
            "grantsKeepToTheShareTheWindowAndTheRights",
            "no elastic share"),

    GRANTS_BEYOND_ITS_ELASTIC_SHARE(
            ElasticVariant.with((aperture, context) ->
                    new ElasticVariant.Device(aperture, context) {
                        @Override
                        MapDecision decideMore(MapRequest request) {
                            long page = request.page();
                            return new MapDecision.FromPool(
                                    page,
                                    ElasticVariant.POOL,
                                    more.npages() - 1,
                                    2,
                                    Prot.READ_WRITE);
                        }
                    }),
            "grantsKeepToTheShareTheWindowAndTheRights",
            ""),

    GRANTS_ONE_ELASTIC_PAGE_TWICE(
            ElasticVariant.with((aperture, context) ->
                    new ElasticVariant.Device(aperture, context) {
                        @Override
                        MapDecision decideMore(MapRequest request) {
                            long page = request.page();
                            return new MapDecision.FromPool(
                                    page, ElasticVariant.POOL, page & ~1L, 1, Prot.READ_WRITE);
                        }
                    }),
            "whatWasStoredIsThereAfterARevocation",
            "holds"),

    STORES_WHERE_AN_ELASTIC_PAGE_WAS(
            ElasticVariant.with((aperture, context) ->
                    new ElasticVariant.Device(aperture, context) {
                        private OptionalLong place = OptionalLong.empty();

                        @Override
                        MapDecision decideMore(MapRequest request) {
                            place.ifPresent(pfn ->
                                    aperture.fill(
                                            Page.bytesOf(pfn - aperture.pfns().firstPfn()),
                                            Page.SIZE,
                                            (byte) 0x55));
                            if (place.isEmpty()) {
                                place = more.pfnOf(request.page());
                            }
                            return super.decideMore(request);
                        }
                    }),
            "whatWasStoredIsThereAfterARevocation",
            ""),

    GIVES_NOTHING_UP(
            ElasticVariant.with((aperture, context) ->
                    new ElasticVariant.Device(aperture, context) {
                        @Override
                        public boolean evict(String pool, long firstPage, long npages) {
                            return false;
                        }
                    }),
            "anAnswerThatARevocationOvertookIsGivenAgain",
            "gives up no page"),

    BLOCKS_IN_AN_EVICTION(
            ElasticVariant.with((aperture, context) ->
                    new ElasticVariant.Device(aperture, context) {
                        @Override
                        public boolean evict(String pool, long firstPage, long npages) {
                            Variant.waitForEver();
                            return true;
                        }
                    }),
            "grantsKeepToTheShareTheWindowAndTheRights",
            "has not come back"),

    THROWS_IN_AN_EVICTION(
            ElasticVariant.with((aperture, context) ->
                    new ElasticVariant.Device(aperture, context) {
                        @Override
                        public boolean evict(String pool, long firstPage, long npages) {
                            throw new IllegalStateException("not this one");
                        }
                    }),
            "grantsKeepToTheShareTheWindowAndTheRights",
            "not this one"),

    REVOKES_IN_AN_EVICTION(
            ElasticVariant.with((aperture, context) ->
                    new ElasticVariant.Device(aperture, context) {
                        @Override
                        public boolean evict(String pool, long firstPage, long npages) {
                            context.revoke(MORE, firstPage, npages);
                            return true;
                        }
                    }),
            "grantsKeepToTheShareTheWindowAndTheRights",
            "evict calls revoke"),

    KEEPS_A_PIN_OF_ELASTIC_PAGES(
            ElasticVariant.with((aperture, context) ->
                    new ElasticVariant.Device(aperture, context) {
                        private final List<ElasticMemory.Pin> pins = new ArrayList<>();

                        @Override
                        MapDecision decideMore(MapRequest request) {
                            if (pins.isEmpty()) {
                                pins.add(more.pin(request.page(), 1));
                            }
                            return super.decideMore(request);
                        }
                    }),
            "aRemovedDeviceLeavesNothing",
            "still pinned");

    private final Supplier<Variant> driver;
    private final String test;
    private final String says;

    ElasticBug(Supplier<Variant> driver, String test, String says) {
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
