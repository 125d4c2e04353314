package dev.mdev.testkit;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MdevType;
import dev.mdev.api.RegionArea;
import dev.mdev.api.page.Page;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/// The grants that a driver may give, and the effect of a revocation.
abstract class MappingRules extends Rules {
    private static final int PROCESSORS = 3;

    /// Visits of pages by one processor.
    private static final int MOST_VISITS = 400;

    private static final int MOST_STORING_NANOS = 4_000_000;

    /// The host checks each grant: share, window, rights, the touched page.
    @DriverRule
    void grantsKeepToTheShareTheWindowAndTheRights() {
        forEachType(mdev -> {
            SplittableRandom random = random();
            List<Windows> windows =
                    List.of(Windows.wide(), Windows.narrow(), Windows.random(random.split()));
            for (Windows window : windows) {
                mdev.guest().setWindows(window);
                for (MappablePage page : mappablePages(mdev, random.split())) {
                    touch(mdev, page, random);
                }
                revokeAll(mdev);
                loadThenStore(mdev, mappablePages(mdev, random.split()));
                revokeAll(mdev);
            }
        });
    }

    /// Each page is mapped by a load before it is stored to, so that those that were granted for
    /// loads only get more rights.
    private static void loadThenStore(InMemoryMdev mdev, List<MappablePage> pages) {
        for (MappablePage page : pages) {
            mdev.guest().tryLoad(page.region().index(), page.offsetBytes(), 8);
        }
        for (MappablePage page : pages) {
            mdev.guest().tryStore(page.region().index(), page.offsetBytes(), 8, 0);
        }
    }

    private static void touch(InMemoryMdev mdev, MappablePage page, SplittableRandom random) {
        int inPage = random.nextInt(Page.SIZE / 8) * 8;
        if (random.nextBoolean()) {
            mdev.guest().tryLoad(page.region().index(), page.offsetBytes() + inPage, 8);
        } else {
            mdev.guest().tryStore(page.region().index(), page.offsetBytes() + inPage, 8, 0);
        }
    }

    private static void revokeAll(InMemoryMdev mdev) {
        mdev.regions().forEach(region -> mdev.revoke(region.index(), 0, Long.MAX_VALUE));
    }

    /// A driver that changes its mind must revoke first.
    @DriverRule
    void aMappedPageKeepsItsPhysicalPage() {
        atDevices(mdev -> {
            SplittableRandom random = random();
            mdev.guest().setWindows(Windows.narrow());
            for (int round = 0; round < 20; round++) {
                List<MappablePage> pages = mappablePages(mdev, random.split());
                pages.stream().limit(32).forEach(page -> touch(mdev, page, random));
                scribble(mdev, random);
                pages.stream().limit(32).forEach(page -> askAgain(mdev, page));
            }
        });
    }

    private static void askAgain(InMemoryMdev mdev, MappablePage page) {
        if (mdev.isMapped(page.region().index(), page.page())) {
            mdev.guest().prefetch(page.region().index(), page.page());
        }
    }

    @DriverRule
    void twoPagesAreNeverOnePhysicalPage() {
        atDevices(mdev -> {
            Map<Long, MappablePage> owners = new HashMap<>();
            SplittableRandom random = random();
            for (MappablePage page : mappablePages(mdev, random.split())) {
                if (subject().keepsContent(page.region(), page.page())) {
                    touch(mdev, page, random);
                    mdev.pfnOf(page.region().index(), page.page())
                            .ifPresent(pfn -> requireOwner(mdev, owners, pfn, page));
                }
            }
        });
    }

    /// A page that was revoked since owns nothing any more.
    private static void requireOwner(
            InMemoryMdev mdev, Map<Long, MappablePage> owners, long pfn, MappablePage page) {
        MappablePage other = owners.put(pfn, page);
        boolean both =
                other != null
                        && !other.equals(page)
                        && mdev.pfnOf(other.region().index(), other.page())
                                .filter(mapped -> mapped == pfn)
                                .isPresent();
        require(!both, "pfn=0x%x is both %s and %s", pfn, other, page);
    }

    /// Several processors touch all pages at once; each stores to pages of its own.
    @DriverRule
    void pagesThatAreTouchedAtOnceDoNotGetMixedUp() {
        atDevices(mdev -> {
            SplittableRandom random = random();
            List<MappablePage> pages =
                    mappablePages(mdev, random.split()).stream()
                            .filter(page -> subject().keepsContent(page.region(), page.page()))
                            .filter(page -> store(mdev, page, 0))
                            .toList();
            revokeAll(mdev);
            List<Callable<Object>> processors = new ArrayList<>();
            for (int i = 0; i < PROCESSORS; i++) {
                List<MappablePage> own = everyNth(pages, i);
                SplittableRandom order = random.split();
                processors.add(Executors.callable(() -> storeAndCheck(mdev, own, order)));
            }
            AccessRules.runAll(processors);
        });
    }

    private static List<MappablePage> everyNth(List<MappablePage> pages, int first) {
        return IntStream.iterate(first, i -> i < pages.size(), i -> i + PROCESSORS)
                .mapToObj(pages::get)
                .toList();
    }

    private static void storeAndCheck(
            InMemoryMdev mdev, List<MappablePage> own, SplittableRandom random) {
        Map<MappablePage, Long> stored = new HashMap<>();
        int visits = Math.min(MOST_VISITS, 50 * own.size());
        for (int i = 0; i < visits; i++) {
            MappablePage page = own.get(random.nextInt(own.size()));
            int region = page.region().index();
            long wanted = stored.getOrDefault(page, 0L);
            long seen = mdev.guest().load(region, page.offsetBytes(), 8);
            require(seen == wanted, "%s holds 0x%x, stored was 0x%x", page, seen, wanted);
            stored.put(page, storeForAWhile(mdev, page, random));
        }
    }

    /// Now and then stores again and again, so that some stores fall into what the driver does for
    /// the faults of the other processors.
    ///
    /// @return the value of the last store
    private static long storeForAWhile(
            InMemoryMdev mdev, MappablePage page, SplittableRandom random) {
        long nanos = random.nextInt(4) == 0 ? random.nextInt(MOST_STORING_NANOS) : 0;
        long start = System.nanoTime();
        long value;
        do {
            value = random.nextLong();
            mdev.guest().store(page.region().index(), page.offsetBytes(), 8, value);
        } while (System.nanoTime() - start < nanos);
        return value;
    }

    /// An area is eager so that its pages are there before they are touched.
    @DriverRule
    void eagerAreasAreMappedAhead() {
        forEachType(mdev -> {
            long eager =
                    mappablePagesOfKind(mdev, RegionArea.Kind.EAGER)
                            .filter(page -> subject().keepsContent(page.region(), page.page()))
                            .count();
            long unmapped = mdev.guest().populate();
            require(
                    eager == 0 || unmapped < eager,
                    "no page of an eager area can be mapped ahead, of %d",
                    eager);
            long before = mdev.guest().faults();
            mappablePagesOfKind(mdev, RegionArea.Kind.EAGER)
                    .filter(page -> mdev.isMapped(page.region().index(), page.page()))
                    .forEach(page ->
                            mdev.guest().load(page.region().index(), page.offsetBytes(), 4));
            require(mdev.guest().faults() == before, "a page that was mapped ahead faults");
        });
    }

    private static Stream<MappablePage> mappablePagesOfKind(
            InMemoryMdev mdev, RegionArea.Kind kind) {
        return mdev.regions().stream()
                .flatMap(region ->
                        region.areas().stream()
                                .filter(area -> area.kind() == kind)
                                .flatMap(area ->
                                        LongStream.range(
                                                        Page.numberOf(area.offsetBytes()),
                                                        Page.numberOf(area.endBytes()))
                                                .mapToObj(page -> new MappablePage(region, page))));
    }

    @DriverRule
    void whatWasStoredIsThereAfterARevocation() {
        atDevices(mdev -> {
            SplittableRandom random = random();
            mdev.guest().setWindows(Windows.random(random.split()));
            List<MappablePage> pages = storeMarks(mdev, random);
            for (int round = 0; round < 3; round++) {
                revokeSome(mdev, random);
                checkMarks(mdev, pages);
            }
            revokeAll(mdev);
            checkMarks(mdev, pages);
        });
    }

    private List<MappablePage> storeMarks(InMemoryMdev mdev, SplittableRandom random) {
        return mappablePages(mdev, random.split()).stream()
                .filter(page -> subject().keepsContent(page.region(), page.page()))
                .filter(page -> store(mdev, page, page.offsetBytes() + 1))
                .toList();
    }

    private static boolean store(InMemoryMdev mdev, MappablePage page, long value) {
        return mdev.guest().tryStore(page.region().index(), page.offsetBytes(), 8, value)
                instanceof AccessResult.Done;
    }

    private static void checkMarks(InMemoryMdev mdev, List<MappablePage> pages) {
        for (MappablePage page : pages) {
            long value = mdev.guest().load(page.region().index(), page.offsetBytes(), 8);
            require(
                    value == page.offsetBytes() + 1,
                    "%s holds 0x%x instead of the stored value",
                    page,
                    value);
        }
    }

    private static void revokeSome(InMemoryMdev mdev, SplittableRandom random) {
        mdev.regions()
                .forEach(region -> {
                    long first = random.nextLong(region.npages());
                    long npages = 1 + random.nextLong(region.npages());
                    mdev.revoke(region.index(), first, npages);
                });
    }

    /// The host may discard an answer and ask again: an answer is not yet a mapping.
    @DriverRule
    void anAnswerThatARevocationOvertookIsGivenAgain() {
        List<MappablePage> granted = new ArrayList<>();
        atDevice(mdev ->
                mappablePages(mdev, random()).stream()
                        .filter(page -> isGranted(mdev, page))
                        .forEach(granted::add));
        atDevice(mdev -> {
            AtomicInteger asked = new AtomicInteger();
            mdev.setOvertaken(() -> asked.incrementAndGet() % 3 != 0);
            for (MappablePage page : granted) {
                mdev.guest().load(page.region().index(), page.offsetBytes(), 4);
            }
        });
    }

    private static boolean isGranted(InMemoryMdev mdev, MappablePage page) {
        MapDecision decision = mdev.guest().prefetch(page.region().index(), page.page());
        return decision instanceof MapDecision.Grant;
    }

    @DriverRule
    void devicesDoNotShareContent() {
        atHost(host -> {
            if (!LifeCycleRules.roomForTwo(host)) {
                return;
            }
            SplittableRandom random = random();
            InMemoryMdev first = anyDevice(host);
            InMemoryMdev second = anyDevice(host);
            List<MappablePage> marked = storeMarks(first, random);
            for (MappablePage page : marked) {
                Optional<Long> seen = tryLoad(second, page);
                require(
                        seen.isEmpty() || seen.get() == 0,
                        "%s of a fresh device holds 0x%x",
                        page,
                        seen.orElse(0L));
            }
            new HostileGuest(second, random.split()).run(1000);
            checkMarks(first, marked);
        });
    }

    /// They are the parent's: nothing that a guest does, and no reset and end of a device, changes
    /// what the others see.
    @DriverRule
    void pagesThatDevicesShareKeepTheirContent() {
        atHost(host -> {
            for (InMemoryParent parent : host.parents()) {
                byte[] before = parent.sharedContent();
                for (MdevType type : parent.layout().types()) {
                    if (!type.shared().isEmpty()) {
                        InMemoryMdev mdev = parent.create(type.id());
                        SplittableRandom random = random();
                        for (int round = 0; round < ROUNDS; round++) {
                            scribble(mdev, random);
                            requireShared(before, parent);
                        }
                        mdev.reset();
                        mdev.close();
                        requireShared(before, parent);
                    }
                }
            }
        });
    }

    private static void requireShared(byte[] before, InMemoryParent parent) {
        require(
                Arrays.equals(before, parent.sharedContent()),
                "a device of parent=%s changes pages that all share",
                parent.name());
    }

    private static Optional<Long> tryLoad(InMemoryMdev mdev, MappablePage page) {
        return switch (mdev.guest().tryLoad(page.region().index(), page.offsetBytes(), 8)) {
            case AccessResult.Done(long value) -> Optional.of(value);
            case AccessResult.Failed _ -> Optional.empty();
        };
    }
}
