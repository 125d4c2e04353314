package dev.mdev.core.dirty;

import static dev.mdev.core.dirty.RingBench.ENTRIES;
import static dev.mdev.core.dirty.RingBench.SOFT_LIMIT;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.MdevException;
import dev.mdev.core.dirty.DirtyRingMapping.Request;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

class DirtyRingTest {
    private final RingBench bench = new RingBench();
    private final DirtyRing ring = bench.vcpu(0);

    private void push(int count) {
        for (int i = 0; i < count; i++) {
            ring.push(1, i);
        }
    }

    private int flags(int entry) {
        return ring.memory().get(ValueLayout.JAVA_INT, entry * 16L);
    }

    private void setFlags(int entry, int flags) {
        ring.memory().set(ValueLayout.JAVA_INT, entry * 16L, flags);
    }

    @Test
    void anEntryIsFlagsSlotAndOffset() {
        ring.push(1 << 16 | 7, 0x1234_5678_9aL);
        assertThat(flags(0)).isEqualTo(1);
        assertThat(ring.memory().get(ValueLayout.JAVA_INT, 4)).isEqualTo(1 << 16 | 7);
        assertThat(ring.memory().get(ValueLayout.JAVA_LONG, 8)).isEqualTo(0x1234_5678_9aL);
        assertThat(flags(1)).isZero();
    }

    @Test
    void anEntryGoesFromEmptyToDirtyToHarvestedToEmpty() {
        assertThat(flags(0)).isZero();
        push(1);
        assertThat(flags(0)).isEqualTo(DirtyRingEntry.DIRTY);
        assertThat(bench.harvest(ring)).isEqualTo(1);
        assertThat(flags(0)).isEqualTo(DirtyRingEntry.RESET);
        assertThat(ring.used()).isEqualTo(1);
        assertThat(bench.reset()).isEqualTo(1);
        assertThat(flags(0)).isZero();
        assertThat(ring.used()).isZero();
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3, 6, -1})
    void onlyTheResetBitIsLookedAt(int harvested) {
        push(1);
        setFlags(0, harvested);
        assertThat(bench.reset()).isEqualTo(1);
        assertThat(flags(0)).isZero();
    }

    @Test
    void theRingDoesNotLookForDuplicates() {
        for (int i = 0; i < 4; i++) {
            ring.push(1, 5);
        }
        List<Long> pages = new ArrayList<>();
        RingBench.harvester(ring).harvest((_, page) -> pages.add(page), 10);
        assertThat(pages).containsExactly(5L, 5L, 5L, 5L);
        assertThat(bench.reset()).isEqualTo(4);
    }

    @Test
    void theGuestLeavesAtTheSoftLimitAndStaysOut() {
        push(SOFT_LIMIT - 1);
        assertThat(ring.mustExit()).isFalse();
        push(1);
        assertThat(ring.mustExit()).isTrue();
        assertThat(ring.mustExit()).isTrue();

        assertThat(RingBench.harvester(ring).harvest((_, _) -> {}, 1)).isEqualTo(1);
        assertThat(ring.mustExit()).as("harvested is not reset").isTrue();
        assertThat(bench.reset()).isEqualTo(1);
        assertThat(ring.mustExit()).isFalse();
        push(1);
        assertThat(ring.mustExit()).isTrue();
    }

    @Test
    void theReserveTakesWhatCannotWait() {
        push(ENTRIES);
        assertThat(ring.used()).isEqualTo(ENTRIES);
        assertThat(ring.overruns()).isZero();
        push(1);
        assertThat(ring.overruns()).isEqualTo(1);
        assertThat(ring.mustExit()).isTrue();
    }

    @Test
    void withPmlTheReserveIsLarger() {
        DirtyRing pml = new DirtyRing(RingBench.allocate(1024 * 16), 576);
        assertThat(pml.softLimit()).isEqualTo(448);
    }

    @Test
    void harvestTakesAtMostTheLimitAndGoesOnWhereItStopped() {
        DirtyRingHarvester harvester = RingBench.harvester(ring);
        push(5);
        List<Long> pages = new ArrayList<>();
        assertThat(harvester.harvest((_, page) -> pages.add(page), 2)).isEqualTo(2);
        assertThat(harvester.harvest((_, page) -> pages.add(page), 9)).isEqualTo(3);
        assertThat(harvester.harvest((_, page) -> pages.add(page), 9)).isZero();
        assertThat(pages).containsExactly(0L, 1L, 2L, 3L, 4L);
    }

    @Test
    void anEntryWhoseSinkThrowsIsNotHarvested() {
        DirtyRingHarvester harvester = RingBench.harvester(ring);
        push(2);
        assertThatThrownBy(() ->
                        harvester.harvest(
                                (_, page) -> {
                                    if (page == 1) {
                                        throw new IllegalStateException();
                                    }
                                },
                                9))
                .isInstanceOf(IllegalStateException.class);
        assertThat(bench.reset()).isEqualTo(1);
        assertThat(harvester.harvest((_, _) -> {}, 9)).isEqualTo(1);
    }

    @Test
    void indicesRunAroundTheRing() {
        DirtyRingHarvester harvester = RingBench.harvester(ring);
        long next = 0;
        for (int round = 0; round < 40; round++) {
            for (int i = 0; i < 100; i++) {
                ring.push(1, round * 100L + i);
            }
            long[] expected = {next};
            assertThat(
                            harvester.harvest(
                                    (_, page) -> assertThat(page).isEqualTo(expected[0]++), 1000))
                    .isEqualTo(100);
            next += 100;
            assertThat(bench.reset()).isEqualTo(100);
        }
        assertThat(ring.overruns()).isZero();
    }

    @Test
    void aVmmThatHarvestsWhatWasNeverPushedKeepsItsGuestOut() {
        push(1);
        setFlags(0, 2);
        setFlags(1, 2);
        assertThat(bench.reset()).isEqualTo(2);
        assertThat(ring.used()).isEqualTo(-1);
        push(0);
        assertThat(ring.isSoftFull()).isTrue();
    }

    @ParameterizedTest
    @CsvSource({"0,0", "4096,256", "4096,-1", "6144,64", "2097152,64"})
    void impossibleRingsAreRefused(int sizeBytes, int reserved) {
        assertThatThrownBy(() -> new DirtyRing(RingBench.allocate(sizeBytes), reserved))
                .isInstanceOf(MdevException.class);
    }

    @ParameterizedTest
    @CsvSource({
        "64, 2, true, false, true",
        "64, 2, false, false, false",
        "64, 2, true, true, false",
        "65, 8, false, false, false",
        "0, 66, false, false, false",
        "0, 65, false, false, false",
        "0, 80, false, false, true",
        "0, 64, false, true, true",
        "66, 1, false, true, true",
    })
    void onlyTheEndsOfAMappingAreChecked(
            long first, long npages, boolean shared, boolean executable, boolean allowed) {
        Request request = new Request(first, npages, shared, executable);
        if (allowed) {
            DirtyRingMapping.check(request, 2);
        } else {
            assertThatThrownBy(() -> DirtyRingMapping.check(request, 2))
                    .isInstanceOf(MdevException.class);
        }
        DirtyRingMapping.check(request, 0);
    }
}
