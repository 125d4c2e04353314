package dev.mdev.core.memslot;

import dev.mdev.core.memslot.PlantedBitmap.Mistake;
import dev.mdev.core.sync.Interleavings;

import org.jetbrains.lincheck.datastructures.Operation;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.util.List;

/// Searches the interleavings of setters and one harvester for one in which a bit is lost or comes
/// twice. Only one thread at a time harvests or clears, as the slots lock has it: two harvesters at
/// once are outside the contract. The planted mistakes show that the search finds such things.
///
/// One word is searched, as only a word is taken at once: a harvest of several words may find a bit
/// of a later one and not of an earlier one, though that was set before.
@Timeout(value = 120, threadMode = ThreadMode.SEPARATE_THREAD)
class DirtyBitmapRaceTest {
    /// What two threads do; what is left is harvested at the end.
    private enum Plan {
        SET_AND_HARVEST(List.of("set0", "set1"), List.of("harvest")),
        TWO_SETTERS(List.of("set0"), List.of("set0", "harvest")),
        SET_AND_CLEAR(List.of("set0", "set1"), List.of("clear0", "harvest"));

        final List<String> first;
        final List<String> second;

        Plan(List<String> first, List<String> second) {
            this.first = first;
            this.second = second;
        }
    }

    @ParameterizedTest
    @EnumSource
    void everyBitIsTakenOnce(Plan plan) {
        search(Real.class).search(plan.first, plan.second, List.of("harvest"));
    }

    @Test
    void thePlantedBitmapIsRightWithoutAMistake() {
        Plan plan = Plan.SET_AND_HARVEST;
        search(Right.class).search(plan.first, plan.second, List.of("harvest"));
    }

    @Test
    void theSearchFindsAHarvestThatReadsAndThenZeroes() {
        searchPlanted(ClearIsTwoSteps.class, Plan.SET_AND_HARVEST);
    }

    @Test
    void theSearchFindsASetThatReadsAndThenWrites() {
        searchPlanted(SetIsTwoSteps.class, Plan.SET_AND_HARVEST);
    }

    @Test
    void theSearchFindsASummaryThatIsClearedAfterTheWord() {
        searchPlanted(SummaryClearedLast.class, Plan.SET_AND_HARVEST);
    }

    @Test
    void theSearchFindsASummaryThatIsSetBeforeTheWord() {
        searchPlanted(SummarySetFirst.class, Plan.SET_AND_HARVEST);
    }

    @Test
    void theSearchFindsASummaryThatOnlyTheFirstSetterSets() {
        searchPlanted(SummarySetByFirstSetterOnly.class, Plan.TWO_SETTERS);
    }

    private static void searchPlanted(Class<?> scenario, Plan plan) {
        search(scenario).searchPlanted(plan.first, plan.second, List.of("harvest"));
    }

    private static Interleavings search(Class<?> scenario) {
        return new Interleavings(scenario, Sequential.class);
    }

    /// What the operations do one after the other.
    public static final class Sequential {
        private long bits;

        public void set0() {
            bits |= 1;
        }

        public void set1() {
            bits |= 2;
        }

        public long harvest() {
            long taken = bits;
            bits = 0;
            return taken;
        }

        public long clear0() {
            long taken = bits & 1;
            bits &= ~1;
            return taken;
        }
    }

    public static final class Real {
        private final DirtyBitmap bitmap = new DirtyBitmap(64);

        @Operation
        public void set0() {
            bitmap.set(0);
        }

        @Operation
        public void set1() {
            bitmap.set(1);
        }

        @Operation
        public long harvest() {
            long[] taken = new long[1];
            bitmap.harvest((_, bits) -> taken[0] = bits);
            return taken[0];
        }

        @Operation
        public long clear0() {
            return bitmap.clear(0, 1);
        }
    }

    abstract static class Planted {
        private final PlantedBitmap bitmap;

        Planted(Mistake mistake) {
            bitmap = new PlantedBitmap(mistake);
        }

        @Operation
        public void set0() {
            bitmap.set(0);
        }

        @Operation
        public void set1() {
            bitmap.set(1);
        }

        @Operation
        public long harvest() {
            return bitmap.harvest();
        }
    }

    public static final class Right extends Planted {
        public Right() {
            super(Mistake.NONE);
        }
    }

    public static final class ClearIsTwoSteps extends Planted {
        public ClearIsTwoSteps() {
            super(Mistake.CLEAR_IS_TWO_STEPS);
        }
    }

    public static final class SetIsTwoSteps extends Planted {
        public SetIsTwoSteps() {
            super(Mistake.SET_IS_TWO_STEPS);
        }
    }

    public static final class SummaryClearedLast extends Planted {
        public SummaryClearedLast() {
            super(Mistake.SUMMARY_CLEARED_LAST);
        }
    }

    public static final class SummarySetFirst extends Planted {
        public SummarySetFirst() {
            super(Mistake.SUMMARY_SET_FIRST);
        }
    }

    public static final class SummarySetByFirstSetterOnly extends Planted {
        public SummarySetByFirstSetterOnly() {
            super(Mistake.SUMMARY_SET_BY_FIRST_SETTER_ONLY);
        }
    }
}
