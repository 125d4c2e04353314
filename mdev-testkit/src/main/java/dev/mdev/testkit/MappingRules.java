package dev.mdev.testkit;

import dev.mdev.api.MapDecision;
import dev.mdev.api.page.Page;

import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;

/// What may be mapped, and what becomes of it when it is revoked.
abstract class MappingRules extends Rules {
    /// The host checks each grant: share, window, rights, the touched page.
    @Test
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
            }
        });
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

    /// A driver that changes its mind has to revoke first.
    @Test
    void aMappedPageKeepsItsPhysicalPage() {
        atDevice(mdev -> {
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

    @Test
    void twoPagesAreNeverOnePhysicalPage() {
        atDevice(mdev -> {
            Map<Long, MappablePage> owners = new HashMap<>();
            SplittableRandom random = random();
            for (MappablePage page : mappablePages(mdev, random.split())) {
                if (subject().keepsContent(page.region(), page.page())) {
                    touch(mdev, page, random);
                    mdev.pfnOf(page.region().index(), page.page())
                            .ifPresent(pfn -> requireOwner(owners, pfn, page));
                }
            }
        });
    }

    private static void requireOwner(Map<Long, MappablePage> owners, long pfn, MappablePage page) {
        MappablePage other = owners.putIfAbsent(pfn, page);
        require(other == null, "pfn=0x%x is both %s and %s", pfn, other, page);
    }

    @Test
    void whatWasStoredIsThereAfterARevocation() {
        atDevice(mdev -> {
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
                    "%s holds 0x%x instead of what was stored",
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

    /// The host may throw an answer away and ask again: an answer is not yet a mapping.
    @Test
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

    @Test
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

    private static Optional<Long> tryLoad(InMemoryMdev mdev, MappablePage page) {
        return switch (mdev.guest().tryLoad(page.region().index(), page.offsetBytes(), 8)) {
            case AccessResult.Done(long value) -> Optional.of(value);
            case AccessResult.Failed _ -> Optional.empty();
        };
    }
}
