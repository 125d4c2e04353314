package dev.mdev.core.elastic;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.util.List;

class UnitTest {
    private final Unit unit = new Unit(0);

    private static Place at(long offsetPages) {
        return new Place(1, offsetPages);
    }

    @Test
    void itRemembersAFewPlacesAndRefusesOneMore() {
        for (int place = 0; place < Unit.MAX_PLACES; place++) {
            assertThat(unit.addPlace(at(place))).isTrue();
        }
        assertThat(unit.addPlace(at(Unit.MAX_PLACES))).isFalse();
        for (int place = 0; place < Unit.MAX_PLACES; place++) {
            assertThat(unit.addPlace(at(place))).as("known: %d", place).isTrue();
        }
        assertThat(unit.takePlaces()).containsExactlyInAnyOrder(at(0), at(1), at(2), at(3));
    }

    @Test
    void takenPlacesAreGone() {
        unit.addPlace(at(0));
        unit.addPlace(at(1));
        assertThat(unit.takePlaces()).containsExactlyInAnyOrder(at(0), at(1));
        assertThat(unit.takePlaces()).isEmpty();
    }

    @Test
    void returnedPlacesAreThereOnceHoweverManyCameMeanwhile() {
        List<Place> taken = List.of(at(0), at(1), at(2), at(3));
        unit.addPlace(at(3));
        unit.addPlace(at(4));
        unit.returnPlaces(taken);
        assertThat(unit.takePlaces()).containsExactlyInAnyOrder(at(0), at(1), at(2), at(3), at(4));
    }
}
