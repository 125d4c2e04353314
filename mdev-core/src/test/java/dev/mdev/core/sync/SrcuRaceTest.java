package dev.mdev.core.sync;

import dev.mdev.core.sync.PlantedSrcu.Mistake;

import org.jetbrains.lincheck.datastructures.Operation;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.util.List;

/// Searches interleavings of readers and one writer for a reader that meets a version after its
/// removal. A search that overlooks planted bugs proves nothing: it must also find those.
@Timeout(value = 900, threadMode = ThreadMode.SEPARATE_THREAD)
@Tag("slow")
class SrcuRaceTest {
    /// What a scenario's two threads do: the first operation, and all others.
    enum Plan {
        /// The reader that a writer must wait for stalls before it counts itself in.
        TWO_UPDATES("read", "update", "update"),
        /// Another section begins and ends while the writer sums.
        NESTED_READ("readWithinRead", "update");

        @SuppressWarnings("ImmutableEnumChecker") // of strings, and unmodifiable
        private final List<String> operations;

        Plan(String... operations) {
            this.operations = List.of(operations);
        }

        List<String> reader() {
            return operations.subList(0, 1);
        }

        List<String> writer() {
            return operations.subList(1, operations.size());
        }
    }

    @ParameterizedTest
    @EnumSource
    void noReaderMeetsAVersionThatWasTakenBack(Plan plan) {
        new Interleavings(Real.class, Specification.class).search(plan.reader(), plan.writer());
    }

    @Test
    void theSearchFindsAWriterThatDoesNotWait() {
        searchPlanted(DoesNotWait.class, Plan.TWO_UPDATES);
    }

    @Test
    void theSearchFindsAWriterThatDrainsOnePhase() {
        searchPlanted(DrainsOnePhase.class, Plan.TWO_UPDATES);
    }

    @Test
    void theSearchFindsAWriterThatSumsTheBegunFirst() {
        searchPlanted(SumsBegunFirst.class, Plan.NESTED_READ);
    }

    private static void searchPlanted(Class<?> scenario, Plan plan) {
        new Interleavings(scenario, Specification.class)
                .searchPlanted(plan.reader(), plan.writer(), List.of());
    }

    private static final class Version {
        volatile boolean takenBack;
    }

    /// No read ever returns true.
    public static final class Specification {
        public boolean read() {
            return false;
        }

        public boolean readWithinRead() {
            return false;
        }

        public void update() {}
    }

    /// A version, replaced and then removed as soon as the read sections allow.
    public abstract static class Scenario {
        private final ReadSections sections;
        private volatile Version current = new Version();

        Scenario(ReadSections sections) {
            this.sections = sections;
        }

        @Operation
        public boolean read() {
            int token = sections.readLock();
            Version version = current;
            boolean takenBack = version.takenBack;
            sections.readUnlock(token);
            return takenBack;
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
