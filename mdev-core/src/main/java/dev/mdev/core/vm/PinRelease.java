package dev.mdev.core.vm;

import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;

/// Makes the devices of a machine release memory before its removal.
///
/// The affected range is found under a lock, but drivers are called without it: their callbacks may
/// take long, and call back. So this runs in rounds. Each round checks, under the lock, which
/// frames would go, blocks new pins there, and changes the slots if nothing there is pinned.
/// Otherwise it releases the lock, calls the drivers, closes the pins that they left by force, and
/// checks again. Because new pins stay blocked, a round repeats only if another thread has changed
/// the affected range in between.
final class PinRelease {
    /// After this number of rounds pins are closed without a call of the driver: a guest that moves
    /// BARs on several processors at once must not keep a change from ending.
    private static final int MAX_ROUNDS = 16;

    private final Collection<AttachedDevice> devices;
    private final ReentrantLock layout;

    /// The ranges that this change blocked, to be unblocked.
    private final Set<Place> refused = new HashSet<>();

    /// @param devices the devices that may have pins; may change concurrently
    /// @param layout held while a change is checked and made
    PinRelease(Collection<AttachedDevice> devices, ReentrantLock layout) {
        this.devices = devices;
        this.layout = layout;
    }

    /// A change of slots. Both methods are called with the lock held.
    interface Change {
        /// The frames that would go if the change happened now.
        List<GfnRange> leaving();

        /// Changes the slots. Called after the last [#leaving], under the same hold of the lock.
        void make();
    }

    /// A range as one device reaches it.
    private record Place(AttachedDevice device, GfnRange gfns) {}

    /// Makes the change when no device has pins in the removed memory. The caller holds no lock.
    void run(Change change) {
        try {
            int rounds = 0;
            List<Place> pinned = round(change, false);
            while (!pinned.isEmpty()) {
                pinned.forEach(PinRelease::release);
                pinned = round(change, ++rounds >= MAX_ROUNDS);
            }
        } finally {
            refused.forEach(place -> place.device.dma().allowPins(place.gfns));
        }
    }

    /// @return the ranges to unpin first; empty if the change was made
    private List<Place> round(Change change, boolean byForce) {
        layout.lock();
        try {
            List<Place> pinned = new ArrayList<>();
            for (GfnRange gfns : change.leaving()) {
                for (AttachedDevice device : devices) {
                    Place place = new Place(device, gfns);
                    if (refused.add(place)) {
                        device.dma().refusePins(gfns);
                    }
                    if (device.dma().hasPins(gfns)) {
                        pinned.add(place);
                    }
                }
            }
            if (byForce) {
                pinned.forEach(place -> place.device.dma().unpin(place.gfns));
                pinned.clear();
            }
            if (pinned.isEmpty()) {
                change.make();
            }
            return pinned;
        } finally {
            layout.unlock();
        }
    }

    private static void release(Place place) {
        GfnRange gfns = place.gfns;
        if (place.device.dma().hasPins(gfns)) {
            place.device
                    .mdev()
                    .dmaUnmapped(Page.addressOf(gfns.firstGfn()), Page.bytesOf(gfns.npages()));
            place.device.dma().unpin(gfns);
        }
    }
}
