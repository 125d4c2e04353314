package dev.mdev.testkit.drivers;

import dev.mdev.api.Aperture;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.Caching;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.function.Supplier;

/// Bugs in a driver's answers to accesses of pages.
@SuppressWarnings("ImmutableEnumChecker") // suppliers of fresh drivers
enum GrantBug implements SeededBug {
    GRANTS_MORE_THAN_ITS_SHARE(
            Device.with((d, request) -> {
                PfnRange run = d.share.extentFrom(request.page());
                PfnRange more = new PfnRange(run.firstPfn(), run.npages() + 1);
                return new MapDecision.Grant(request.page(), more, Prot.READ_WRITE);
            }),
            "grantsKeepToTheShareTheWindowAndTheRights"),

    GRANTS_OUTSIDE_THE_WINDOW(
            Device.with((d, request) ->
                    new MapDecision.Grant(
                            request.page(), d.share.extentFrom(request.page()), Prot.READ_WRITE)),
            "grantsKeepToTheShareTheWindowAndTheRights"),

    GRANTS_NEXT_TO_THE_TOUCHED_PAGE(
            Device.with((d, request) -> {
                long page = Math.max(0, request.page() - 1);
                return new MapDecision.Grant(page, new PfnRange(d.pfnOf(page), 1), Prot.READ_WRITE);
            }),
            "grantsKeepToTheShareTheWindowAndTheRights"),

    GRANTS_NO_WRITE_FOR_STORES(
            Device.with((d, request) ->
                    MapDecision.grantPage(request, d.pfnOf(request.page()), Prot.READ)),
            "grantsKeepToTheShareTheWindowAndTheRights"),

    ASKS_FOR_A_MEMORY_TYPE_THAT_THE_PAGES_LACK(
            Device.with((d, request) ->
                    new MapDecision.Grant(
                                    request.page(),
                                    new PfnRange(d.pfnOf(request.page()), 1),
                                    Prot.READ_WRITE)
                            .withCaching(Caching.UNCACHED)),
            "grantsKeepToTheShareTheWindowAndTheRights"),

    GRANTS_A_PAGE_OF_ANOTHER_DEVICE(
            () ->
                    new Variant() {
                        private final List<PoolShare> all = new ArrayList<>();

                        @Override
                        MdevDevice create(Aperture aperture, MdevContext context) {
                            all.add(context.share("memory"));
                            return new Device(
                                    aperture,
                                    context,
                                    (d, request) ->
                                            MapDecision.grantPage(
                                                    request,
                                                    all.getFirst()
                                                            .extentFrom(request.page())
                                                            .firstPfn(),
                                                    Prot.READ_WRITE));
                        }
                    },
            "devicesDoNotShareContent"),

    GRANTS_ONE_PAGE_TWICE(
            Device.with((d, request) ->
                    MapDecision.grantPage(request, d.pfnOf(request.page() & ~1L), Prot.READ_WRITE)),
            "twoPagesAreNeverOnePhysicalPage"),

    MOVES_PAGES_WITHOUT_REVOKING(
            Device.with((d, request) ->
                    MapDecision.grantPage(
                            request,
                            d.pfnOf(request.page() ^ (d.scratch[0] & 1)),
                            Prot.READ_WRITE)),
            "aMappedPageKeepsItsPhysicalPage"),

    ANSWERS_WITH_A_STALE_PAGE_AFTER_REVOKE(
            () ->
                    new Variant() {
                        @Override
                        MdevDevice create(Aperture aperture, MdevContext context) {
                            // Hands pages out in the order of their accesses, and again after a
                            // revocation.
                            long[] next = new long[1];
                            Map<Long, Long> table = new HashMap<>();
                            return new Device(
                                    aperture,
                                    context,
                                    (d, request) -> {
                                        if (request.reason() == MapRequest.Reason.AFTER_REVOKE) {
                                            table.remove(request.page());
                                        }
                                        long index =
                                                table.computeIfAbsent(
                                                        request.page(),
                                                        page -> next[0]++ % PAGES_A_DEVICE);
                                        return MapDecision.grantPage(
                                                request, d.pfnOf(index), Prot.READ_WRITE);
                                    });
                        }
                    },
            "whatWasStoredIsThereAfterARevocation"),

    TAKES_AN_ANSWER_FOR_A_MAPPING(
            () ->
                    new Variant() {
                        @Override
                        MdevDevice create(Aperture aperture, MdevContext context) {
                            Set<Long> mapped = new HashSet<>();
                            return new Device(
                                    aperture,
                                    context,
                                    (d, request) ->
                                            mapped.add(request.page())
                                                            || request.reason()
                                                                    == MapRequest.Reason
                                                                            .AFTER_REVOKE
                                                    ? d.rightAnswer(request)
                                                    : new MapDecision.Deny("it is mapped"));
                        }
                    },
            "anAnswerThatARevocationOvertookIsGivenAgain"),

    REVOKES_WHAT_IT_GRANTS(
            Device.with((d, request) -> {
                d.context.revoke(request.region(), request.page(), 1);
                return d.rightAnswer(request);
            }),
            "grantsKeepToTheShareTheWindowAndTheRights"),

    NEVER_DECIDES(
            Device.with((d, request) -> new MapDecision.Again("not yet")),
            "grantsKeepToTheShareTheWindowAndTheRights"),

    RETURNS_NULL(
            Device.with((d, request) -> GrantBug.nothing()),
            "grantsKeepToTheShareTheWindowAndTheRights"),

    BLOCKS_IN_A_FAULT(
            Device.with((d, request) -> {
                Variant.waitForEver();
                return d.rightAnswer(request);
            }),
            "grantsKeepToTheShareTheWindowAndTheRights");

    private final Supplier<Variant> driver;
    private final String test;

    GrantBug(Supplier<Variant> driver, String test) {
        this.driver = driver;
        this.test = test;
    }

    @Override
    public Variant newDriver() {
        return driver.get();
    }

    @Override
    public String foundBy() {
        return test;
    }

    @SuppressWarnings("NullAway") // the bug
    private static MapDecision nothing() {
        return null;
    }

    /// Answers as configured.
    private static final class Device extends Variant.VariantDevice {
        private final BiFunction<Device, MapRequest, MapDecision> answer;

        Device(
                Aperture aperture,
                MdevContext context,
                BiFunction<Device, MapRequest, MapDecision> answer) {
            super(aperture, context);
            this.answer = answer;
        }

        static Supplier<Variant> with(BiFunction<Device, MapRequest, MapDecision> answer) {
            return Variant.of((aperture, context) -> new Device(aperture, context, answer));
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            return answer.apply(this, request);
        }

        MapDecision rightAnswer(MapRequest request) {
            return super.validateMapRequest(request);
        }
    }
}
