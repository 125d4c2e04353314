package dev.mdev.core.bus;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.capacity.Tenant;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.Parent;
import dev.mdev.core.device.ScrubReport;
import dev.mdev.core.driver.CallWatchdog;
import dev.mdev.core.driver.DriverCalls;
import dev.mdev.core.driver.DriverOutcome;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.ledger.ApertureRun;
import dev.mdev.core.ledger.Ledger;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.LongConsumer;

/// Makes pages fit for the next tenant: sets them to zero, reads them back, and only then reports
/// them clean. Pages that do not read back as zero are quarantined. The memory of pages that the
/// host gave goes back to the kernel.
///
/// A page keeps its tenant during scrubbing, until the result is recorded.
final class Scrubber {
    private static final int CHUNK_PAGES = 64;

    /// The maximum number of pages that one record marks as clean: a crash repeats at most their
    /// scrubbing.
    private static final long RECORD_PAGES = 1 << 14;

    private static final byte[] ZEROES = new byte[CHUNK_PAGES * Page.SIZE];

    private static final DriverCalls.CallObserver NO_OBSERVER = (_, _, _) -> {};

    private final Ledger ledger;
    private final BusObserver observer;
    private final CallWatchdog watch;
    private final Duration callDeadline;

    /// @param watch detects apertures that do not answer
    /// @param callDeadline the maximum time of an aperture for 256 KiB
    Scrubber(Ledger ledger, BusObserver observer, CallWatchdog watch, Duration callDeadline) {
        this.ledger = ledger;
        this.observer = observer;
        this.watch = watch;
        this.callDeadline = callDeadline;
    }

    /// The result of scrubbing.
    private record Verdict(PfnRange pfns, boolean clean, String reason) {
        /// Whether `next` has the same result for the pages right after these.
        boolean goesOn(Verdict next) {
            return clean == next.clean
                    && reason.equals(next.reason)
                    && pfns.endPfn() == next.pfns.firstPfn()
                    && pfns.npages() < RECORD_PAGES;
        }

        Verdict and(Verdict next) {
            return new Verdict(
                    new PfnRange(pfns.firstPfn(), pfns.npages() + next.pfns.npages()),
                    clean,
                    reason);
        }
    }

    /// Sets the pages of a device to zero; they stay the device's.
    ///
    /// @throws MdevException EIO if some do not read back as zero, or cannot be accessed
    void clear(Mdev mdev) {
        byte[] buffer = new byte[CHUNK_PAGES * Page.SIZE];
        DriverCalls calls = callsFor(mdev.parent());
        try {
            for (PoolShare pool : mdev.share()) {
                for (PfnRange extent : pool.extents()) {
                    for (PfnRange chunk : chunksOf(extent)) {
                        Verdict verdict = tryScrub(mdev.parent(), chunk, buffer, calls);
                        if (!verdict.clean()) {
                            throw new MdevException(
                                    Errno.EIO,
                                    "%s: %s %s".formatted(mdev, verdict.pfns(), verdict.reason()));
                        }
                    }
                }
            }
        } finally {
            watch.remove(calls);
        }
    }

    /// Sets pages to zero and reads them back. They keep their tenant, whatever the result.
    ///
    /// @return the pages that are not clean
    List<PfnRange> zero(Parent parent, List<PfnRange> pages) {
        long start = System.nanoTime();
        byte[] buffer = new byte[CHUNK_PAGES * Page.SIZE];
        List<PfnRange> bad = new ArrayList<>();
        DriverCalls calls = callsFor(parent);
        try {
            for (PfnRange pfns : pages) {
                for (PfnRange chunk : chunksOf(pfns)) {
                    scrubChunk(parent, chunk, buffer, calls).stream()
                            .filter(verdict -> !verdict.clean())
                            .map(Verdict::pfns)
                            .forEach(bad::add);
                }
            }
        } finally {
            watch.remove(calls);
        }
        long badPages = bad.stream().mapToLong(PfnRange::npages).sum();
        long npages = pages.stream().mapToLong(PfnRange::npages).sum();
        report(parent, npages - badPages, start, badPages);
        return bad;
    }

    private void report(Parent parent, long npages, long startNanos, long failedPages) {
        ScrubReport report =
                new ScrubReport(
                        parent.name(),
                        Page.bytesOf(npages),
                        System.nanoTime() - startNanos,
                        failedPages);
        parent.addScrubbed(report);
        observer.scrubbed(report);
    }

    private DriverCalls callsFor(Parent parent) {
        return watch.add(
                new DriverCalls("aperture of parent=" + parent.name(), callDeadline, NO_OBSERVER));
    }

    private static List<PfnRange> chunksOf(PfnRange pfns) {
        List<PfnRange> chunks = new ArrayList<>();
        for (long pfn = pfns.firstPfn(); pfn < pfns.endPfn(); pfn += CHUNK_PAGES) {
            chunks.add(new PfnRange(pfn, Math.min(CHUNK_PAGES, pfns.endPfn() - pfn)));
        }
        return chunks;
    }

    /// Scrubs a device's pages and frees them.
    ///
    /// @param progress receives the number of each few pages that are done
    void giveBack(Parent parent, List<PoolShare> share, Tenant tenant, LongConsumer progress) {
        for (PoolShare pool : share) {
            pool.extents().forEach(extent -> scrub(parent, extent, tenant, progress));
        }
    }

    /// Scrubs pages and frees them; pages that cannot be scrubbed become bad.
    ///
    /// An aperture may be a driver's code: it is called like a driver, so that a call that does not
    /// return is reported.
    ///
    /// @param progress as for [#giveBack]
    void scrub(Parent parent, PfnRange pfns, Tenant tenant, LongConsumer progress) {
        DriverCalls calls = callsFor(parent);
        try {
            scrub(parent, pfns, new Work(calls, tenant, progress));
        } finally {
            watch.remove(calls);
        }
    }

    /// How to scrub something.
    ///
    /// @param progress as for [#giveBack]
    private record Work(DriverCalls calls, Tenant tenant, LongConsumer progress) {}

    private void scrub(Parent parent, PfnRange pfns, Work work) {
        long start = System.nanoTime();
        long failedPages = 0;
        byte[] buffer = new byte[CHUNK_PAGES * Page.SIZE];
        Verdict open = null;
        for (PfnRange chunk : chunksOf(pfns)) {
            for (Verdict verdict : scrubChunk(parent, chunk, buffer, work.calls())) {
                failedPages += verdict.clean() ? 0 : verdict.pfns().npages();
                if (open != null && open.goesOn(verdict)) {
                    open = open.and(verdict);
                } else {
                    conclude(parent, open, work.tenant());
                    open = verdict;
                }
            }
            work.progress().accept(chunk.npages());
        }
        conclude(parent, open, work.tenant());
        report(parent, pfns.npages() - failedPages, start, failedPages);
    }

    private static List<Verdict> scrubChunk(
            Parent parent, PfnRange chunk, byte[] buffer, DriverCalls calls) {
        Verdict whole = tryScrub(parent, chunk, buffer, calls);
        if (whole.clean()) {
            return List.of(whole);
        }
        // Finds the bad pages one by one.
        List<Verdict> verdicts = new ArrayList<>();
        for (long pfn = chunk.firstPfn(); pfn < chunk.endPfn(); pfn++) {
            verdicts.add(tryScrub(parent, new PfnRange(pfn, 1), buffer, calls));
        }
        return verdicts;
    }

    private static Verdict tryScrub(
            Parent parent, PfnRange pfns, byte[] buffer, DriverCalls calls) {
        return switch (calls.call("clear", () -> clear(parent, pfns, buffer))) {
            case DriverOutcome.Returned<Boolean> read ->
                    read.value()
                            ? new Verdict(pfns, true, "")
                            : new Verdict(pfns, false, "does not read back as zero");
            case DriverOutcome.Failed<Boolean> failed ->
                    new Verdict(pfns, false, "cannot be accessed: " + failed.refusal().reason());
        };
    }

    /// @return whether the pages read back as zero
    private static boolean clear(Parent parent, PfnRange pfns, byte[] buffer) {
        if (!parent.holdsContent(pfns)) {
            return true;
        }
        Aperture aperture = parent.aperture();
        long offset = Page.addressOf(pfns.firstPfn() - aperture.pfns().firstPfn());
        int length = (int) Page.bytesOf(pfns.npages());
        if (aperture instanceof HostMemory.Block ours) {
            return ours.clear(offset, length);
        }
        aperture.fill(offset, length, (byte) 0);
        // Bytes that an aperture does not fill in must not pass for zeroes.
        Arrays.fill(buffer, 0, length, (byte) 0xa5);
        aperture.read(offset, MemorySegment.ofArray(buffer).asSlice(0, length));
        return Arrays.mismatch(buffer, 0, length, ZEROES, 0, length) < 0;
    }

    private void conclude(Parent parent, @Nullable Verdict verdict, Tenant tenant) {
        if (verdict == null) {
            return;
        }
        ApertureRun run = ApertureRun.of(verdict.pfns(), parent.aperturePfns());
        if (verdict.clean()) {
            ledger.markClean(parent.name(), List.of(run));
            parent.capacity().releasePages(verdict.pfns(), tenant);
        } else {
            ledger.markBad(parent.name(), List.of(run));
            parent.capacity().pass(verdict.pfns(), tenant, new Tenant.Bad());
            observer.event(
                    new MdevEvent.PagesQuarantined(
                            parent.name(), run.firstPage(), run.npages(), verdict.reason()));
        }
    }
}
