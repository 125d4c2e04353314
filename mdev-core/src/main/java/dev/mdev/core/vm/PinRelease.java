package dev.mdev.core.vm;

import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;

/// Makes the devices of a machine let go of memory before it goes away.
///
/// What is about to go is found out under a lock, but drivers are told without it: their callbacks
/// may take long, and call back. So it goes in rounds. Each round looks under the lock what would
/// go, forbids new pins there, and changes the slots if nothing there is pinned; if something is,
/// it lets go of the lock, tells the drivers, unpins by force what they left, and looks again. As
/// no pin can be added where one was refused, a round repeats only if somebody else changed in
/// between what is to go.
final class PinRelease {
    /// After so many rounds pins are cut without asking: a guest that moves BARs on several
    /// processors at once must not keep a change from ending.
    private static final int MAX_ROUNDS = 16;

    private final Collection<AttachedDevice> devices;
    private final ReentrantLock layout;

    /// What this change forbade, to be allowed again.
    private final Set<Place> refused = new HashSet<>();

    /// @param devices who may have pins; may change meanwhile
    /// @param layout held while a change is looked at and made
    PinRelease(Collection<AttachedDevice> devices, ReentrantLock layout) {
        this.devices = devices;
        this.layout = layout;
    }

    /// A change of slots. Both methods are called with the lock held.
    interface Change {
        /// The frames that would go if the change were made now.
        List<GfnRange> leaving();

        /// Changes the slots. Called after the last [#leaving], under the same hold of the lock.
        void make();
    }

    /// A range as one device reaches it.
    private record Place(AttachedDevice device, GfnRange gfns) {}

    /// Makes the change when no device has pins where it takes memory away. The caller holds no
    /// lock.
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

    /// @return what has to be unpinned first; empty if the change was made
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
