package dev.mdev.gpu;

import dev.mdev.api.GuestMemory;

import org.jspecify.annotations.Nullable;

/// The place in guest memory where the guest wants its fences. Guests name it with each fence, and
/// hardly ever change it.
///
/// All methods may be called by any thread.
final class FenceTarget {
    private final GuestMemory guestMemory;
    private volatile @Nullable Place last;

    private record Place(long iova, GuestMemory.Window window) {}

    FenceTarget(GuestMemory guestMemory) {
        this.guestMemory = guestMemory;
    }

    void store(long iova, long fence) {
        Place place = last;
        if (place == null || place.iova != iova) {
            place = new Place(iova, guestMemory.window(iova, Long.BYTES));
            last = place;
        }
        place.window.store(0, Long.BYTES, fence);
    }
}
