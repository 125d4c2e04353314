package dev.mdev.core.sync;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.core.sync.PlantedSrcu.Mistake;

import org.jetbrains.lincheck.LincheckAssertionError;
import org.jetbrains.lincheck.datastructures.Operation;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;

/// Searches interleavings of readers and one writer for a reader that meets a version after it was
/// taken back. A search that overlooks planted mistakes proves nothing: it has to find those too.
class SrcuRaceTest {
    @Test
    void noReaderMeetsAVersionThatWasTakenBack() {
        search(Real.class);
    }

    @ParameterizedTest
    @ValueSource(classes = {DoesNotWait.class, DrainsOnePhase.class, SumsBegunFirst.class})
    void theSearchFindsAPlantedMistake(Class<?> mistake) {
        assertThatThrownBy(() -> search(mistake)).isInstanceOf(LincheckAssertionError.class);
    }

    private static void search(Class<?> scenario) {
        new Interleavings(scenario, Specification.class)
                .search(List.of("readWithinRead"), List.of("update", "update"));
    }

    private static final class Version {
        volatile boolean takenBack;
    }

    /// No read ever returns true.
    public static final class Specification {
        public boolean readWithinRead() {
            return false;
        }

        public void update() {}
    }

    /// A version, replaced and then taken back as soon as the read sections allow.
    public abstract static class Scenario {
        private final ReadSections sections;
        private volatile Version current = new Version();

        Scenario(ReadSections sections) {
            this.sections = sections;
        }

        @Operation
        public boolean readWithinRead() {
            int outer = sections.readLock();
            Version version = current;
            int inner = sections.readLock();
            sections.readUnlock(inner);
            boolean takenBack = version.takenBack;
            sections.readUnlock(outer);
            return takenBack;
        }

        @Operation(nonParallelGroup = "writer")
        public void update() {
            Version old = current;
            current = new Version();
            if (sections.trySynchronize()) {
                old.takenBack = true;
            }
        }
    }

    public static final class Real extends Scenario {
        public Real() {
            super(ReadSections.of(new Srcu(1)));
        }
    }

    public static final class DoesNotWait extends Scenario {
        public DoesNotWait() {
            super(new PlantedSrcu(Mistake.DOES_NOT_WAIT));
        }
    }

    public static final class DrainsOnePhase extends Scenario {
        public DrainsOnePhase() {
            super(new PlantedSrcu(Mistake.DRAINS_ONE_PHASE));
        }
    }

    public static final class SumsBegunFirst extends Scenario {
        public SumsBegunFirst() {
            super(new PlantedSrcu(Mistake.SUMS_BEGUN_FIRST));
        }
    }
}
