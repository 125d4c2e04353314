package dev.mdev.core.dirty;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.MdevException;
import dev.mdev.core.dirty.ProtectRecorder.Batch;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.SlotIds;
import dev.mdev.core.memslot.SlotRequests;
import dev.mdev.core.memslot.UserMemoryRegion;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

class DirtyRingResetTest {
    private static final int SLOT = 1;

    private final RingBench bench = new RingBench();
    private final DirtyRing ring = bench.vcpu(0);

    private void harvested(DirtyRing of, long... offsets) {
        for (long offset : offsets) {
            of.push(SLOT, offset);
        }
        bench.harvest(of);
    }

    private static void tamper(DirtyRing of, int entry, int slot, long offset) {
        MemorySegment memory = of.memory();
        memory.set(ValueLayout.JAVA_INT, entry * 16L + 4, slot);
        memory.set(ValueLayout.JAVA_LONG, entry * 16L + 8, offset);
    }

    private static Batch batch(long base, int... bits) {
        long mask = 0;
        for (int bit : bits) {
            mask |= 1L << bit;
        }
        return new Batch(SLOT, base, mask);
    }

    static Stream<Arguments> coalescing() {
        return Stream.of(
                Arguments.of(new long[] {5, 6, 7}, List.of(batch(5, 0, 1, 2))),
                Arguments.of(new long[] {7, 6, 5}, List.of(batch(5, 0, 1, 2))),
                Arguments.of(new long[] {100, 163}, List.of(batch(100, 0, 63))),
                Arguments.of(new long[] {100, 37}, List.of(batch(37, 0, 63))),
                Arguments.of(new long[] {100, 163, 37}, List.of(batch(100, 0, 63), batch(37, 0))),
                Arguments.of(new long[] {100, 36}, List.of(batch(100, 0), batch(36, 0))),
                Arguments.of(new long[] {0, 63, 64}, List.of(batch(0, 0, 63), batch(64, 0))),
                Arguments.of(
                        new long[] {10, 9, 80, 8},
                        List.of(batch(9, 0, 1), batch(80, 0), batch(8, 0))),
                Arguments.of(new long[] {5, 5, 5}, List.of(batch(5, 0))));
    }

    @ParameterizedTest
    @MethodSource("coalescing")
    void neighboursAreProtectedTogether(long[] offsets, List<Batch> expected) {
        bench.logged(SLOT, 1000);
        harvested(ring, offsets);
        assertThat(bench.reset()).isEqualTo(offsets.length);
        assertThat(bench.protector.batches).isEqualTo(expected);
        assertThat(bench.protector.flushes).isEqualTo(1);
    }

    @Test
    void entriesOfDifferentSlotsAreNotMerged() {
        bench.logged(SLOT, 100);
        bench.logged(2, 100);
        for (int slot : new int[] {SLOT, 2, SLOT}) {
            ring.push(slot, 5);
        }
        bench.harvest(ring);
        assertThat(bench.reset()).isEqualTo(3);
        assertThat(bench.protector.batches)
                .containsExactly(batch(5, 0), new Batch(2, 5, 1), batch(5, 0));
    }

    @Test
    void ringsAreNotMergedAndCountedTogetherInTheOrderOfCreation() {
        bench.logged(SLOT, 100);
        DirtyRing second = bench.vcpu(7);
        DirtyRing third = bench.vcpu(3);
        harvested(third, 21, 22);
        harvested(second, 11, 12);
        harvested(ring, 1, 2, 3);
        assertThat(bench.reset()).isEqualTo(7);
        assertThat(bench.protector.batches)
                .containsExactly(batch(1, 0, 1, 2), batch(11, 0, 1), batch(21, 0, 1));
        assertThat(bench.protector.flushes).isEqualTo(1);
    }

    @Test
    void resetWithoutAHarvestedEntryDoesNothing() {
        bench.logged(SLOT, 100);
        assertThat(bench.reset()).isZero();
        ring.push(SLOT, 1);
        assertThat(bench.reset()).isZero();
        assertThat(bench.protector.flushes).isZero();
    }

    @Test
    void aHarvestedEntryBehindAnUnharvestedOneStays() {
        bench.logged(SLOT, 100);
        ring.push(SLOT, 1);
        ring.push(SLOT, 2);
        DirtyRingEntry.markHarvestedRelease(ring.memory(), 1);
        assertThat(bench.reset()).isZero();
        DirtyRingEntry.markHarvestedRelease(ring.memory(), 0);
        assertThat(bench.reset()).isEqualTo(2);
    }

    @Test
    void garbageIsCountedAndProtectsNothing() {
        bench.logged(SLOT, 16);
        harvested(ring, 1, 2, 3, 4);
        tamper(ring, 0, 9 << 16 | SLOT, 0);
        tamper(ring, 1, SlotIds.USER_SLOTS, 0);
        tamper(ring, 2, 30, 0);
        tamper(ring, 3, SLOT, 16);
        assertThat(bench.reset()).isEqualTo(4);
        assertThat(bench.protector.batches).isEmpty();
        assertThat(bench.protector.flushes).isEqualTo(1);
    }

    @ParameterizedTest
    @MethodSource("poison")
    void oneEntryBeyondTheSlotSpoilsTheBatchItMergesWith(long third, List<Batch> expected) {
        bench.logged(SLOT, 16);
        harvested(ring, 13, 14, 15);
        tamper(ring, 2, SLOT, third);
        assertThat(bench.reset()).isEqualTo(3);
        assertThat(bench.protector.batches).isEqualTo(expected);
    }

    static Stream<Arguments> poison() {
        return Stream.of(
                Arguments.of(15L, List.of(batch(13, 0, 1, 2))),
                Arguments.of(16L, List.of()),
                Arguments.of(-16L, List.of()),
                Arguments.of(-1L, List.of()),
                Arguments.of(216L, List.of(batch(13, 0, 1))));
    }

    @Test
    void entriesOfASlotThatIsGoneOrMovedOrNoLongerLogsAreCounted() {
        bench.logged(SLOT, 16);
        harvested(ring, 3);
        bench.slots.setUserMemoryRegion(
                SlotRequests.region(SLOT, SlotFlags.LOG_DIRTY_PAGES, 0x50000, 16));
        assertThat(bench.reset()).isEqualTo(1);
        assertThat(bench.protector.batches).containsExactly(batch(3, 0));

        harvested(ring, 4);
        bench.slots.setUserMemoryRegion(SlotRequests.region(SLOT, 0, 0x50000, 16));
        assertThat(bench.reset()).isEqualTo(1);
        assertThat(bench.protector.batches).containsExactly(batch(3, 0), batch(4, 0));

        harvested(ring, 5);
        bench.slots.setUserMemoryRegion(UserMemoryRegion.deletionOf(SLOT));
        assertThat(bench.reset()).isEqualTo(1);
        assertThat(bench.protector.batches).hasSize(2);
    }

    @Test
    void withoutRingsThereIsNothingToReset() {
        AddressSpaces slots = new AddressSpaces(SlotConfig.x86());
        DirtyModes modes = new DirtyModes(slots, DirtyHardware.x86());
        DirtyRings rings = new DirtyRings(slots, modes, RingBench::allocate);
        assertThatThrownBy(() -> rings.reset(bench.protector))
                .isInstanceOf(MdevException.class)
                .hasMessage("no dirty rings");
    }

    @Test
    void anInterruptEndsItEarlyWithWhatWasFreedProtected() {
        bench.logged(SLOT, 1000);
        harvested(ring, 1, 500, 501, 900);
        ProtectRecorder recorder = bench.protector;
        DirtyProtector interrupting =
                new DirtyProtector() {
                    @Override
                    public void protect(Memslot slot, long baseIndex, long bits) {
                        recorder.protect(slot, baseIndex, bits);
                        Thread.currentThread().interrupt();
                    }

                    @Override
                    public void flush() {
                        recorder.flush();
                    }
                };
        int count = bench.rings.reset(interrupting);
        assertThat(Thread.interrupted()).isTrue();
        assertThat(count).isEqualTo(2);
        assertThat(recorder.batches).containsExactly(batch(1, 0), batch(500, 0));
        assertThat(recorder.flushes).isEqualTo(1);
        assertThat(bench.reset()).isEqualTo(2);
    }

    @Test
    void theSixteenPagesOfASlotAreProtectedUpToTheLast() {
        bench.logged(SLOT, 16);
        long[] all = new long[16];
        Arrays.setAll(all, i -> i);
        harvested(ring, all);
        assertThat(bench.reset()).isEqualTo(16);
        assertThat(bench.protector.batches).containsExactly(new Batch(SLOT, 0, 0xffff));
    }
}
