package dev.mdev.testkit;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MapRequest.Reason;
import dev.mdev.api.MdevException;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;

import org.jspecify.annotations.Nullable;

import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/// A guest that loads from and stores to a device's regions. Mapped pages are accessed in the
/// aperture; at other pages it faults, the driver is asked, and its grant is checked and followed.
///
/// Any threads may use it at once; each then acts as a processor of the guest.
public final class SimulatedGuest {
    /// How often revocations may overtake a request before this counts as a livelock.
    private static final int MAX_RETRIES = 1000;

    /// Before a request is sent again.
    private static final long PAUSE_NANOS = 1_000_000;

    private final InMemoryMdev mdev;
    private final AtomicLong faults = new AtomicLong();
    private volatile Windows windows = Windows.wide();
    private volatile @Nullable AccessTrace trace;

    SimulatedGuest(InMemoryMdev mdev) {
        this.mdev = mdev;
    }

    /// Sets how much around an accessed page grants may cover; initially the whole area.
    public void setWindows(Windows windows) {
        this.windows = windows;
    }

    /// Records accesses from now on.
    ///
    /// @return the trace
    public AccessTrace record() {
        AccessTrace fresh = new AccessTrace();
        trace = fresh;
        return fresh;
    }

    /// Stops recording.
    public void stopRecording() {
        trace = null;
    }

    /// The number of requests to the driver.
    public long faults() {
        return faults.get();
    }

    /// A load that must succeed.
    ///
    /// @throws ContractViolation if it fails
    public long load(int region, long offsetBytes, int widthBytes) {
        return valueOf(tryLoad(region, offsetBytes, widthBytes), "load", region, offsetBytes);
    }

    /// A store that must succeed.
    ///
    /// @throws ContractViolation if it fails
    public void store(int region, long offsetBytes, int widthBytes, long value) {
        valueOf(tryStore(region, offsetBytes, widthBytes, value), "store", region, offsetBytes);
    }

    private static long valueOf(AccessResult result, String what, int region, long offsetBytes) {
        return switch (result) {
            case AccessResult.Done(long value) -> value;
            case AccessResult.Failed(String reason) ->
                    throw new ContractViolation(
                            "%s region=%d offset=0x%x failed: %s"
                                    .formatted(what, region, offsetBytes, reason));
        };
    }

    /// A load of 1, 2, 4 or 8 bytes.
    public AccessResult tryLoad(int region, long offsetBytes, int widthBytes) {
        return recorded(region, offsetBytes, widthBytes, Access.READ, 0);
    }

    /// A store of 1, 2, 4 or 8 bytes.
    public AccessResult tryStore(int region, long offsetBytes, int widthBytes, long value) {
        return recorded(region, offsetBytes, widthBytes, Access.WRITE, value);
    }

    private AccessResult recorded(
            int region, long offsetBytes, int widthBytes, Access access, long value) {
        AccessResult result = split(region, offsetBytes, widthBytes, access, value);
        AccessTrace to = trace;
        if (to != null) {
            AccessTrace.Step step =
                    new AccessTrace.Step(
                            access == Access.WRITE,
                            region,
                            offsetBytes,
                            widthBytes,
                            value,
                            false,
                            0);
            to.add(AccessTrace.withResult(step, result));
        }
        return result;
    }

    /// An access that crosses a page boundary is done byte by byte.
    private AccessResult split(
            int region, long offsetBytes, int widthBytes, Access access, long value) {
        RegionInfo info = mdev.region(region);
        if (offsetBytes < 0 || offsetBytes > info.sizeBytes() - widthBytes) {
            return new AccessResult.Failed("outside the region");
        }
        if (Page.offsetOf(offsetBytes) + widthBytes <= Page.SIZE) {
            return access(info, offsetBytes, widthBytes, access, lowBytes(value, widthBytes));
        }
        long loaded = 0;
        for (int i = 0; i < widthBytes; i++) {
            AccessResult part =
                    access(info, offsetBytes + i, 1, access, (value >>> (8 * i)) & 0xFF);
            switch (part) {
                case AccessResult.Done(long b) -> loaded |= b << (8 * i);
                case AccessResult.Failed failed -> {
                    return failed;
                }
            }
        }
        return new AccessResult.Done(loaded);
    }

    private AccessResult access(
            RegionInfo info, long offsetBytes, int widthBytes, Access access, long value) {
        try {
            Optional<RegionArea> area = mappableArea(info, offsetBytes);
            if (area.isEmpty()) {
                return trap(info, offsetBytes, widthBytes, access, value);
            }
            return throughMapping(info, area.get(), offsetBytes, widthBytes, access, value);
        } catch (MdevException e) {
            return new AccessResult.Failed(e.toString());
        }
    }

    private static Optional<RegionArea> mappableArea(RegionInfo info, long offsetBytes) {
        return info.areas().stream()
                .filter(area -> area.kind() != RegionArea.Kind.TRAPPED)
                .filter(a -> offsetBytes >= a.offsetBytes() && offsetBytes < a.endBytes())
                .findFirst();
    }

    private AccessResult trap(
            RegionInfo info, long offsetBytes, int widthBytes, Access access, long value) {
        int doorbell = mdev.doorbells().at(info.index(), offsetBytes, widthBytes);
        if (doorbell >= 0 && access == Access.WRITE) {
            mdev.ring(doorbell);
            return new AccessResult.Done(0);
        }
        long result = mdev.calls().trap(info.index(), offsetBytes, widthBytes, access, value);
        return new AccessResult.Done(access == Access.READ ? lowBytes(result, widthBytes) : 0);
    }

    private AccessResult throughMapping(
            RegionInfo info,
            RegionArea area,
            long offsetBytes,
            int widthBytes,
            Access access,
            long value) {
        long page = Page.numberOf(offsetBytes);
        for (int tries = 0; tries < MAX_RETRIES; tries++) {
            Optional<AccessResult> done =
                    mdev.mappings()
                            .access(
                                    info.index(),
                                    page,
                                    access,
                                    pfn -> touch(pfn, offsetBytes, widthBytes, access, value));
            if (done.isPresent()) {
                return done.get();
            }
            switch (fault(info, area, page, access)) {
                case MapDecision.Grant _, MapDecision.FromPool _ -> {
                    // Installed, or to be asked again: the next round shows.
                }
                case MapDecision.Trap _ -> {
                    return trap(info, offsetBytes, widthBytes, access, value);
                }
                case MapDecision.Deny(String reason) -> {
                    return new AccessResult.Failed(reason);
                }
                case MapDecision.Again(String reason) ->
                        throw new IllegalStateException("not the end of a fault: " + reason);
            }
        }
        throw new ContractViolation(
                "region=%d page=0x%x: every one of %d answers was overtaken by a revocation"
                        .formatted(info.index(), page, MAX_RETRIES));
    }

    private AccessResult touch(
            long pfn, long offsetBytes, int widthBytes, Access access, long value) {
        int inPage = Page.offsetOf(offsetBytes);
        if (access == Access.READ) {
            return new AccessResult.Done(mdev.aperture().load(pfn, inPage, widthBytes));
        }
        mdev.aperture().store(pfn, inPage, widthBytes, value);
        return new AccessResult.Done(0);
    }

    /// Asks the driver about one page, ahead of any access.
    ///
    /// @return its answer; a grant is installed
    public MapDecision prefetch(int region, long page) {
        RegionInfo info = mdev.region(region);
        RegionArea area = mappableArea(info, Page.addressOf(page)).orElseThrow();
        return ask(info, area, page, Access.READ, Reason.PREFETCH);
    }

    /// Maps every page of the eager areas, as far as the driver grants it. The host does this when
    /// a guest can reach them.
    ///
    /// @return pages of eager areas that are not mapped
    public long populate() {
        long unmapped = 0;
        for (RegionInfo region : mdev.regions()) {
            for (RegionArea area : region.areas()) {
                if (area.kind() == RegionArea.Kind.EAGER) {
                    unmapped += populate(region, area);
                }
            }
        }
        return unmapped;
    }

    private long populate(RegionInfo region, RegionArea area) {
        long unmapped = 0;
        long end = Page.numberOf(area.endBytes());
        for (long page = Page.numberOf(area.offsetBytes()); page < end; page++) {
            if (!mdev.isMapped(region.index(), page)) {
                tryPrefetch(region.index(), page);
            }
            unmapped += mdev.isMapped(region.index(), page) ? 0 : 1;
        }
        return unmapped;
    }

    /// Maps ahead a page where the driver may also fail.
    private void tryPrefetch(int region, long page) {
        try {
            var _ = prefetch(region, page);
        } catch (MdevException e) {
            // The page faults when it is touched.
        }
    }

    private MapDecision fault(RegionInfo info, RegionArea area, long page, Access access) {
        Reason reason = Reason.FIRST_TOUCH;
        if (mdev.mappings().entry(info.index(), page) != null) {
            reason = Reason.UPGRADE;
        } else if (mdev.mappings().wasRevoked(info.index(), page)) {
            reason = Reason.AFTER_REVOKE;
        }
        return ask(info, area, page, access, reason);
    }

    private MapDecision ask(
            RegionInfo info, RegionArea area, long page, Access access, Reason reason) {
        Windows.Window all =
                new Windows.Window(
                        Page.numberOf(area.offsetBytes()), Page.numberOf(area.endBytes()));
        Windows.Window window = windows.around(page, all);
        MapRequest request =
                new MapRequest(
                        info.index(), page, window.firstPage(), window.endPage(), access, reason);
        faults.incrementAndGet();
        return decision(request);
    }

    /// Sends a request until the driver decides, as the host does.
    private MapDecision decision(MapRequest request) {
        long start = System.nanoTime();
        long patienceNanos = mdev.patience().toNanos();
        while (true) {
            MapDecision decision = mdev.calls().ask(request, mdev.share());
            if (!(decision instanceof MapDecision.Again(String reason))
                    || request.reason() == Reason.PREFETCH) {
                return decision;
            }
            if (System.nanoTime() - start > patienceNanos) {
                throw new ContractViolation(
                        "no decision within %d ms, but \"%s\": %s"
                                .formatted(patienceNanos / 1_000_000, reason, request));
            }
            LockSupport.parkNanos(PAUSE_NANOS);
        }
    }

    private static long lowBytes(long value, int widthBytes) {
        return widthBytes == Long.BYTES ? value : value & ((1L << (8 * widthBytes)) - 1);
    }
}
