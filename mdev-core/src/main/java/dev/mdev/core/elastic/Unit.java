package dev.mdev.core.elastic;

import org.jspecify.annotations.Nullable;

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

    /// A place where guests may have it mapped. Most units have one only, and a fault that grants
    /// many units looks at each.
    private @Nullable Place place;

    private List<Place> otherPlaces = List.of();

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
    boolean addPlace(Place added) {
        if (added.equals(place) || otherPlaces.contains(added)) {
            return true;
        }
        if (otherPlaces.size() + 1 >= MAX_PLACES) {
            return false;
        }
        keep(added);
        return true;
    }

    private void keep(Place added) {
        if (place == null) {
            place = added;
            return;
        }
        List<Place> more = new ArrayList<>(otherPlaces);
        more.add(added);
        otherPlaces = more;
    }

    /// Takes back places whose mappings are still there, however many it has by now.
    void returnPlaces(List<Place> taken) {
        for (Place returned : taken) {
            if (!returned.equals(place) && !otherPlaces.contains(returned)) {
                keep(returned);
            }
        }
    }

    List<Place> takePlaces() {
        if (place == null) {
            return List.of();
        }
        List<Place> taken = new ArrayList<>(otherPlaces);
        taken.add(place);
        place = null;
        otherPlaces = List.of();
        return taken;
    }
}
