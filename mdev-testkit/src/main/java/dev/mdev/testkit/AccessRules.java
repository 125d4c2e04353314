package dev.mdev.testkit;

import dev.mdev.api.DoorbellInfo;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Page;

import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/// Registers and pages take any access of a guest without harm.
abstract class AccessRules extends Rules {
    private static final int[] WIDTHS = {1, 2, 4, 8};
    private static final int ACCESSES = Integer.getInteger("mdev.testkit.accesses", 3000);

    /// Every offset of the first and the last trapped page, with every width. A failure is a
    /// result; any exception except [dev.mdev.api.MdevException] is a violation.
    @DriverRule
    void registersBearAnyWidthAtAnyOffset() {
        atDevice(mdev -> {
            SplittableRandom random = random();
            for (RegionInfo region : mdev.regions()) {
                trappedEnds(region).forEach(page -> sweep(mdev, region, page, random));
            }
        });
    }

    private static List<Long> trappedEnds(RegionInfo region) {
        return List.of(0L, region.npages() - 1).stream()
                .distinct()
                .filter(page -> isTrapped(region, page))
                .toList();
    }

    private static void sweep(
            InMemoryMdev mdev, RegionInfo region, long page, SplittableRandom random) {
        long first = Page.addressOf(page);
        long end = Math.min(region.sizeBytes(), first + Page.SIZE);
        for (long offset = first; offset < end; offset++) {
            for (int width : WIDTHS) {
                if (offset + width <= region.sizeBytes()) {
                    mdev.guest().tryLoad(region.index(), offset, width);
                    mdev.guest().tryStore(region.index(), offset, width, random.nextLong());
                }
            }
        }
    }

    @DriverRule
    void aHostileGuestFindsNothing() {
        forEachType(mdev -> new HostileGuest(mdev, random()).run(ACCESSES));
    }

    /// A guest rings for no reason, in a storm, and beside resets: the driver looks for work, finds
    /// the end of it, and comes back each time. There may be no doorbells.
    @DriverRule
    void everyRingOfADoorbellComesToAnEnd() {
        forEachType(mdev -> {
            List<DoorbellInfo> doorbells = mdev.ask("doorbells", MdevDevice::doorbells);
            for (int round = 0; round < ROUNDS; round++) {
                int times = 1 + round * 100;
                doorbells.forEach(doorbell -> ring(mdev, doorbell, times));
                mdev.awaitDoorbells();
                new HostileGuest(mdev, random()).run(ACCESSES / 30);
                doorbells.forEach(doorbell -> ring(mdev, doorbell, 1));
                mdev.reset();
            }
            mdev.awaitDoorbells();
        });
    }

    private static void ring(InMemoryMdev mdev, DoorbellInfo doorbell, int times) {
        for (int i = 0; i < times; i++) {
            mdev.guest().store(doorbell.region(), doorbell.offsetBytes(), doorbell.widthBytes(), i);
        }
    }

    /// Several processors, revocations, resets and operators' requests, all at once.
    @DriverRule
    void everythingAtOnceIsBorne() {
        atDevice(mdev -> {
            SplittableRandom random = random();
            List<Callable<Object>> jobs =
                    List.of(
                            Executors.callable(hostile(mdev, random.split())),
                            Executors.callable(hostile(mdev, random.split())),
                            Executors.callable(() -> disturb(mdev, random.split())));
            runAll(jobs);
        });
    }

    private static Runnable hostile(InMemoryMdev mdev, SplittableRandom random) {
        return () -> new HostileGuest(mdev, random).run(ACCESSES / 3);
    }

    private static void disturb(InMemoryMdev mdev, SplittableRandom random) {
        for (int i = 0; i < ACCESSES / 30; i++) {
            RegionInfo region = mdev.regions().get(random.nextInt(mdev.regions().size()));
            mdev.revoke(region.index(), random.nextLong(region.npages()), 1 + random.nextInt(64));
            mdev.counters();
            if (i % 10 == 0) {
                mdev.picture();
            }
            if (i % 40 == 0) {
                mdev.reset();
            }
        }
    }

    static void runAll(List<Callable<Object>> jobs) {
        try (ExecutorService executor = Executors.newFixedThreadPool(jobs.size())) {
            for (Future<Object> job : executor.invokeAll(jobs)) {
                job.get();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        } catch (ExecutionException e) {
            throw new ContractViolation("while everything happens at once: " + e.getCause(), e);
        }
    }

    @DriverRule
    void theSameAccessesGiveTheSameResults() {
        if (!subject().isDeterministic()) {
            return;
        }
        AccessTrace[] trace = new AccessTrace[1];
        atDevice(mdev -> {
            trace[0] = mdev.guest().record();
            new HostileGuest(mdev, random()).run(ACCESSES);
        });
        AccessTrace read = AccessTrace.parse(trace[0].toText());
        atDevice(mdev -> {
            List<String> difference = read.replay(mdev.guest());
            require(difference.isEmpty(), "a second device differs: %s", difference);
        });
    }
}
