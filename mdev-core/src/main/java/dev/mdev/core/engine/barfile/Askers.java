package dev.mdev.core.engine.barfile;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.HostMm;

import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/// The threads that ask the driver for pages of one file. A driver that hangs keeps these threads,
/// and no others.
final class Askers implements AutoCloseable {
    private static final long IDLE_SECONDS = 10;

    /// How often the driver is asked if a revocation comes between its refusal and the answer. Then
    /// the refusal counts, until the next revocation: an error would end most clients.
    private static final int ATTEMPTS = 1000;

    private final BarPages pages;
    private final HostMm mm;
    private final long startHva;
    private final BarCounters counters;
    private final ThreadPoolExecutor threads;

    /// @param startHva the address of page 0
    Askers(BarPages pages, HostMm mm, long startHva, BarFileOptions options, BarCounters counters) {
        this.pages = pages;
        this.mm = mm;
        this.startHva = startHva;
        this.counters = counters;
        this.threads =
                new ThreadPoolExecutor(
                        options.maxCallers(),
                        options.maxCallers(),
                        IDLE_SECONDS,
                        TimeUnit.SECONDS,
                        new LinkedBlockingQueue<>(options.maxTouches()),
                        Thread.ofPlatform().daemon().name("mdev-bar-touch-", 0).factory());
        threads.allowCoreThreadTimeOut(true);
    }

    /// Has the driver asked for a page that an access waits for. Waits for nothing.
    void ask(long page) {
        try {
            threads.execute(() -> resolve(page));
        } catch (RejectedExecutionException | OutOfMemoryError e) {
            // Closed, or too many, or the system has no thread left.
            counters.overflowed();
            pages.giveUp(page, Errno.EAGAIN);
        }
    }

    /// A grant answers the access on its way in ([BarPages#grant]); a refusal is answered here.
    private void resolve(long page) {
        counters.touched();
        for (int i = 0; i < ATTEMPTS; i++) {
            if (!pages.isAwaited(page)) {
                return;
            }
            long epoch = pages.epoch();
            boolean denied =
                    switch (fault(startHva + Page.addressOf(page))) {
                        case FaultResult.Mapped _ -> false;
                        case FaultResult.Trapped _ ->
                                deny(page, epoch, "the driver traps the access");
                        case FaultResult.Failed failed ->
                                deny(page, epoch, failed.refusal().reason());
                    };
            if (denied) {
                return;
            }
        }
        // A driver that takes back each of its refusals, or a page that the kernel does not let go.
        pages.refuse(page);
    }

    private boolean deny(long page, long epoch, String reason) {
        counters.lastRefusal(reason);
        return pages.deny(page, epoch);
    }

    /// Asks for a page to store to, because the client maps the file for loads and stores, and a
    /// read request does not say which it was. If the driver does not grant that, for loads.
    private FaultResult fault(long hva) {
        try {
            FaultResult result = mm.handleFault(hva, Access.WRITE);
            return result instanceof FaultResult.Failed failed
                            && isAboutRights(failed.refusal().errno())
                    ? mm.handleFault(hva, Access.READ)
                    : result;
        } catch (RuntimeException | Error e) {
            return new FaultResult.Failed(Errno.EIO, "internal error: " + e);
        }
    }

    private static boolean isAboutRights(Errno errno) {
        return errno == Errno.EACCES || errno == Errno.EIO;
    }

    /// Asks no more. Driver code that runs goes on.
    @Override
    public void close() {
        threads.shutdown();
    }
}
