package dev.mdev.core.device;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.PoolShare;

import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;

/// The end of one device: its driver closes it, its pages are scrubbed and freed, its uuid is free.
///
/// A driver may not let go, so all this happens on a thread of the device's own, and whoever wants
/// the device to end waits only as long as it gets on. If it does not, the device is *lost*: it
/// keeps its pages and its uuid, and everybody can see it; should the driver let go later, the
/// thread does the rest.
final class DeviceEnd {
    private final BusContext bus;
    private final ParentExits exits;
    private final Mdev mdev;
    private final Settlement settlement;
    private final CompletableFuture<Optional<String>> done = new CompletableFuture<>();

    /// Goes up whenever the end gets on.
    private final AtomicLong progress = new AtomicLong();

    /// What is left to do once the pages are free.
    @FunctionalInterface
    interface Settlement {
        /// @param trouble what the driver said when it closed the device, if that failed
        void settle(Optional<String> trouble);
    }

    private DeviceEnd(BusContext bus, ParentExits exits, Mdev mdev, Settlement settlement) {
        this.bus = bus;
        this.exits = exits;
        this.mdev = mdev;
        this.settlement = settlement;
    }

    /// Takes the device from whoever has it, and begins to end it.
    static DeviceEnd begin(BusContext bus, ParentExits exits, Mdev mdev, Settlement settlement) {
        DeviceEnd end = new DeviceEnd(bus, exits, mdev, settlement);
        mdev.revokeForGood();
        bus.registry().become(mdev, Activity.STOPPING, Optional.empty());
        Thread.ofPlatform().daemon().name("mdev-close-" + mdev.uuid()).start(end::run);
        return end;
    }

    private void run() {
        try {
            Optional<String> trouble = mdev.isOwned() ? mdev.close() : Optional.empty();
            progress.incrementAndGet();
            bus.scrubber()
                    .giveBack(
                            mdev.parent(),
                            mdev.share(),
                            new Tenant.Device(mdev.uuid()),
                            progress::incrementAndGet);
            bus.watch().remove(mdev.calls());
            settlement.settle(trouble);
            bus.registry()
                    .remove(mdev.uuid())
                    .filter(entry -> entry.activity() == Activity.LOST)
                    .ifPresent(_ ->
                            bus.observer()
                                    .event(
                                            new MdevEvent.Recovered(
                                                    mdev.uuid(), mdev.parent().name())));
            done.complete(trouble);
            exits.closeIfDeserted(mdev.parent());
        } catch (RuntimeException | Error e) {
            markLost("failed to end: " + e);
            done.completeExceptionally(e);
        }
    }

    /// Waits until the device is gone.
    ///
    /// @return what the driver said when it closed the device, if that failed
    /// @throws MdevException ETIMEDOUT if it does not get on for the deadline: it is lost
    Optional<String> await() {
        long seen = 0;
        while (true) {
            try {
                return done.get(bus.options().callDeadline().toNanos(), TimeUnit.NANOSECONDS);
            } catch (TimeoutException e) {
                long now = progress.get();
                String why = stuckAt();
                if (now == seen && markLost(why)) {
                    throw new MdevException(
                            Errno.ETIMEDOUT,
                            "mdev=%s does not end: %s; its %d pages are held until it does"
                                    .formatted(mdev.uuid(), why, heldPages()),
                            e);
                }
                seen = now;
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new MdevException(
                        Errno.EINTR, "interrupted while mdev=%s ends".formatted(mdev.uuid()), e);
            } catch (ExecutionException e) {
                if (e.getCause() instanceof Error error) {
                    throw error;
                }
                throw new MdevException(
                        Errno.EIO,
                        "mdev=%s did not end: %s".formatted(mdev.uuid(), e.getCause()),
                        e);
            }
        }
    }

    private String stuckAt() {
        return mdev.calls()
                .running()
                .map(call ->
                        "%s has been running for %d ms on thread %s"
                                .formatted(
                                        call.callback(),
                                        (System.nanoTime() - call.sinceNanos()) / 1_000_000,
                                        call.thread().getName()))
                .orElse("its pages are not being scrubbed");
    }

    /// @return false if the device is gone after all
    private boolean markLost(String why) {
        if (!bus.registry().become(mdev, Activity.LOST, Optional.of(why))) {
            return false;
        }
        bus.observer()
                .event(new MdevEvent.Lost(mdev.uuid(), mdev.parent().name(), why, heldPages()));
        return true;
    }

    private long heldPages() {
        return mdev.share().stream().mapToLong(PoolShare::npages).sum();
    }
}
