package dev.mdev.testkit;

import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Page;

import java.util.List;
import java.util.SplittableRandom;

/// A guest that tries to break its device: any width, any offset, preferably at edges, with harmful
/// values. The same seed gives the same accesses.
///
/// Not thread-safe; several may share one device.
public final class HostileGuest {
    private static final int[] WIDTHS = {1, 2, 4, 8};

    private final InMemoryMdev mdev;
    private final SplittableRandom random;
    private long failed;

    public HostileGuest(InMemoryMdev mdev, SplittableRandom random) {
        this.mdev = mdev;
        this.random = random;
    }

    /// Does `count` accesses.
    public void run(int count) {
        for (int i = 0; i < count; i++) {
            step();
        }
    }

    /// Failed accesses; failing is allowed.
    public long failed() {
        return failed;
    }

    private void step() {
        List<RegionInfo> regions = mdev.regions();
        RegionInfo region = regions.get(random.nextInt(regions.size()));
        int width = WIDTHS[random.nextInt(WIDTHS.length)];
        long offset = offsetIn(region, width);
        AccessResult result =
                random.nextBoolean()
                        ? mdev.guest().tryLoad(region.index(), offset, width)
                        : mdev.guest().tryStore(region.index(), offset, width, value());
        switch (result) {
            case AccessResult.Done _ -> {
                // Like a well-behaved guest's.
            }
            case AccessResult.Failed _ -> failed++;
        }
    }

    private long offsetIn(RegionInfo region, int width) {
        long last = region.sizeBytes() - width;
        if (last <= 0) {
            return 0;
        }
        long offset =
                switch (random.nextInt(8)) {
                    case 0 -> last;
                    case 1 -> aroundAPage(last);
                    case 2 -> aroundAnArea(region);
                    case 3 -> random.nextLong(last + 1);
                    // Registers are mostly aligned words near the start of a region.
                    case 4, 5 -> random.nextLong(1L << random.nextInt(3, 13)) & -4L;
                    default -> random.nextLong(Math.min(last, 2 * Page.SIZE) + 1) & -4L;
                };
        return Math.clamp(offset, 0, last);
    }

    private long aroundAPage(long last) {
        return Page.baseOf(random.nextLong(last + 1)) - 8 + random.nextInt(16);
    }

    private long aroundAnArea(RegionInfo region) {
        if (region.areas().isEmpty()) {
            return 0;
        }
        RegionArea area = region.areas().get(random.nextInt(region.areas().size()));
        return (random.nextBoolean() ? area.offsetBytes() : area.endBytes())
                - 8
                + random.nextInt(16);
    }

    private long value() {
        return switch (random.nextInt(6)) {
            case 0 -> 0;
            case 1 -> -1;
            case 2 -> 1L << random.nextInt(64);
            case 3 -> random.nextInt(256);
            case 4 -> Integer.MIN_VALUE;
            default -> random.nextLong();
        };
    }
}
