package dev.mdev.core.elastic;

import java.util.ArrayList;
import java.util.List;

/// One unit of a device's elastic share: pages that have physical pages together. The pool's lock
/// guards it.
final class Unit {
    /// The most places of a unit that are remembered: one instruction of a guest may reach the same
    /// page at several addresses.
    static final int MAX_PLACES = 4;

    /// Where the content is. In the last three states, one thread works on the unit without the
    /// lock, and all others wait.
    enum State {
        /// There is none: it reads as zero.
        ABSENT,
        /// In physical pages.
        RESIDENT,
        /// In the backing store; pages that are not there are zero.
        STORED,
        /// On its way in.
        FILLING,
        /// On its way out; still in its physical pages.
        LEAVING,
        /// In the backing store, and being read there.
        READING
    }

    final int index;
    State state = State.ABSENT;

    /// The first physical page; meaningful while resident, filling or leaving.
    long pfn;

    /// When it became resident, and when it left, by the pool's clock.
    long arrivedNanos;

    long leftNanos;

    /// Copies of the host in progress.
    int copies;

    /// Pins of the driver.
    int pins;

    /// Whether it was asked for since the clock's hand last passed.
    boolean referenced;

    /// Whether it is in its device's queue.
    boolean queued;

    private final List<Place> places = new ArrayList<>(1);

    Unit(int index) {
        this.index = index;
    }

    boolean isInTransit() {
        return switch (state) {
            case ABSENT, RESIDENT, STORED -> false;
            case FILLING, LEAVING, READING -> true;
        };
    }

    /// @return false if it has too many places: they must be revoked first
    boolean addPlace(Place place) {
        if (places.contains(place)) {
            return true;
        }
        return places.size() < MAX_PLACES && places.add(place);
    }

    /// Takes back places whose mappings are still there, however many it has by now.
    void returnPlaces(List<Place> taken) {
        taken.stream().filter(place -> !places.contains(place)).forEach(places::add);
    }

    List<Place> takePlaces() {
        List<Place> taken = List.copyOf(places);
        places.clear();
        return taken;
    }
}
