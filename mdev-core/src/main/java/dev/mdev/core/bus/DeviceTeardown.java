package dev.mdev.core.bus;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.capacity.Tenant;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.elastic.DeviceMemory;
import dev.mdev.core.sync.LongWork;

import org.jspecify.annotations.Nullable;

import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;

/// The end of one device: its driver closes it, its pages are scrubbed and freed, its uuid is free.
///
/// A driver may not let go, so all this happens on a thread of the device's own, and the caller
/// waits only as long as the end makes progress. Without progress, the device is *lost*: it keeps
/// its pages and its uuid, and its status shows it; if the driver lets go later, the thread
/// completes the end.
final class DeviceTeardown {
    private final BusContext bus;
    private final ParentCloser exits;
    private final Mdev mdev;

    /// The work of the caller, which is told of the pages.
    private final LongWork work = LongWork.current();

    /// Completes when the end begins; is cancelled if it does not.
    private final CompletableFuture<Order> order = new CompletableFuture<>();

    private final CompletableFuture<Optional<String>> done = new CompletableFuture<>();

    /// Goes up at each step of the end.
    private final AtomicLong progress = new AtomicLong();

    /// Keeps the reports of the device in order: lost first, then recovered.
    private final ReentrantLock telling = new ReentrantLock();

    /// How to end the device.
    ///
    /// @param former the claim of the verb that was taken over and may still run, or null
    private record Order(VerbLocks.@Nullable Claim former, Settlement settlement) {}

    /// The steps after the pages are free.
    @FunctionalInterface
    interface Settlement {
        /// @param trouble the driver's error at the close, if that failed
        void settle(Optional<String> trouble);
    }

    private DeviceTeardown(BusContext bus, ParentCloser exits, Mdev mdev) {
        this.bus = bus;
        this.exits = exits;
        this.mdev = mdev;
    }

    /// Acquires what an end needs, a thread, before any step that only an end undoes.
    ///
    /// @throws OutOfMemoryError if no thread is available
    static DeviceTeardown prepare(BusContext bus, ParentCloser exits, Mdev mdev) {
        DeviceTeardown end = new DeviceTeardown(bus, exits, mdev);
        Thread.ofPlatform().daemon().name("mdev-close-" + mdev.uuid()).start(end::run);
        return end;
    }

    /// The device stays after all.
    void cancel() {
        order.cancel(false);
    }

    /// Takes the device from its holder, and begins to end it.
    ///
    /// @param former the claim of the verb that was taken over and may still run, or null
    DeviceTeardown begin(VerbLocks.@Nullable Claim former, Settlement settlement) {
        try {
            mdev.revokeForGood();
            var _ = bus.registry().become(mdev, Activity.STOPPING, Optional.empty());
        } finally {
            order.complete(new Order(former, settlement));
        }
        return this;
    }

    private void run() {
        try {
            end(order.join());
        } catch (CancellationException e) {
            // The end was cancelled.
        } catch (RuntimeException | Error e) {
            var _ = markLost(bus, mdev, "failed to end: " + e);
            done.completeExceptionally(e);
        }
    }

    private void end(Order how) {
        if (how.former() != null) {
            how.former().awaitClosed();
            progress.incrementAndGet();
        }
        work.doing("its driver closes it");
        Optional<String> trouble =
                mdev.driver().isOwned() ? mdev.driver().close() : Optional.empty();
        progress.incrementAndGet();
        work.doing("its pages are scrubbed");
        work.begin("pages", heldPages(mdev));
        Tenant tenant = new Tenant.Device(mdev.uuid());
        bus.scrubber().giveBack(mdev.parent(), mdev.share(), tenant, this::scrubbed);
        giveElasticBack(tenant);
        bus.watch().remove(mdev.calls());
        how.settlement().settle(trouble);
        remove();
        done.complete(trouble);
        exits.closeIfReady(mdev.parent());
    }

    private void giveElasticBack(Tenant tenant) {
        if (mdev.elastic().isEmpty()) {
            return;
        }
        mdev.elastic().forEach(DeviceMemory::end);
        for (PfnRange pfns : mdev.parent().capacity().pagesOf(tenant)) {
            bus.scrubber().scrub(mdev.parent(), pfns, tenant, this::scrubbed);
        }
    }

    private void scrubbed(long npages) {
        progress.incrementAndGet();
        work.add(npages);
    }

    /// Frees the uuid, and reports it if the device was lost.
    private void remove() {
        telling.lock();
        try {
            bus.registry()
                    .remove(mdev.uuid())
                    .filter(entry -> entry.activity() == Activity.LOST)
                    .ifPresent(_ ->
                            bus.observer()
                                    .event(
                                            new MdevEvent.Recovered(
                                                    mdev.uuid(), mdev.parent().name())));
        } finally {
            telling.unlock();
        }
    }

    /// Waits until the device is gone, even if the thread is interrupted: the wait is bounded, and
    /// this thread must report a lost device.
    ///
    /// @return the driver's error at the close, if that failed
    /// @throws MdevException ETIMEDOUT without progress for the deadline: it is lost
    Optional<String> await() {
        boolean interrupted = false;
        long seen = 0;
        try {
            while (true) {
                try {
                    return done.get(bus.options().callDeadline().toNanos(), TimeUnit.NANOSECONDS);
                } catch (TimeoutException e) {
                    long now = progress.get();
                    if (now == seen) {
                        requireGone();
                    }
                    seen = now;
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        } catch (ExecutionException e) {
            if (e.getCause() instanceof Error error) {
                throw error;
            }
            throw new MdevException(
                    Errno.EIO, "mdev=%s did not end: %s".formatted(mdev.uuid(), e.getCause()), e);
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /// @throws MdevException ETIMEDOUT if the device is not gone: it is lost; EBUSY if it is
    ///   leaving, and only waits for a program outside this host
    private void requireGone() {
        Optional<String> awaited = OutsideUsers.awaitedBy(mdev);
        if (awaited.isPresent()) {
            if (bus.registry().become(mdev, Activity.STOPPING, awaited)) {
                throw new MdevException(
                        Errno.EBUSY,
                        "mdev=%s is leaving: %s".formatted(mdev.uuid(), awaited.get()));
            }
            return;
        }
        String why = stuckAt();
        telling.lock();
        try {
            if (!markLost(bus, mdev, why)) {
                return;
            }
        } finally {
            telling.unlock();
        }
        throw new MdevException(
                Errno.ETIMEDOUT,
                "mdev=%s does not end: %s; its %d pages are held until it does"
                        .formatted(mdev.uuid(), why, heldPages(mdev)));
    }

    private String stuckAt() {
        Optional<VerbLocks.Claim> former =
                Optional.ofNullable(order.join().former()).filter(claim -> !claim.isClosed());
        return mdev.calls()
                .running()
                // A device under construction is in a call of its parent.
                .or(() -> former.flatMap(_ -> mdev.parent().calls().running()))
                .map(call -> call.callback() + " has been running " + call.inWords())
                .or(() -> former.map(claim -> "it is still being " + claim.what()))
                .orElse("its pages are not being scrubbed");
    }

    /// Reports a device that cannot end.
    ///
    /// @return false if it is gone after all
    static boolean markLost(BusContext bus, Mdev mdev, String why) {
        if (!bus.registry().become(mdev, Activity.LOST, Optional.of(why))) {
            return false;
        }
        bus.observer()
                .event(new MdevEvent.Lost(mdev.uuid(), mdev.parent().name(), why, heldPages(mdev)));
        return true;
    }

    private static long heldPages(Mdev mdev) {
        return mdev.heldPages();
    }
}
