package dev.mdev.core.memslot;

import static dev.mdev.core.memslot.SlotFlags.LOG_DIRTY_PAGES;
import static dev.mdev.core.memslot.SlotRequests.errnoOf;
import static dev.mdev.core.memslot.SlotRequests.ram;
import static dev.mdev.core.memslot.SlotRequests.region;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

import java.util.Objects;

/// What each kind of change does: generations, listeners, bitmaps, counts, and rolling back.
class SlotChangeTest {
    private final AddressSpaces spaces = new AddressSpaces(SlotConfig.x86());
    private final RecordingListener listener = new RecordingListener();

    @Test
    void generationsStartApartAndStepByTheNumberOfAddressSpaces() {
        AddressSpaces three = new AddressSpaces(new SlotConfig(3, 0xffff, 1L << 47, false));
        assertThat(three.active(0).generation()).isZero();
        assertThat(three.active(2).generation()).isEqualTo(2);

        three.setUserMemoryRegion(ram(2 << 16, 0, 1));
        assertThat(three.active(2).generation()).isEqualTo(5);
        three.setUserMemoryRegion(region(2 << 16, LOG_DIRTY_PAGES, 0, 1));
        assertThat(three.active(2).generation()).isEqualTo(8);
        three.setUserMemoryRegion(region(2 << 16, LOG_DIRTY_PAGES, 1, 1));
        assertThat(three.active(2).generation()).isEqualTo(14);
        three.setUserMemoryRegion(UserMemoryRegion.deletionOf(2 << 16));
        assertThat(three.active(2).generation()).isEqualTo(20);
        assertThat(three.active(0).generation()).isZero();
        assertThat(three.active(1).generation()).isEqualTo(1);
    }

    @Test
    void aRequestThatChangesNothingPublishesNothingAndKeepsTheBitmap() {
        spaces.setUserMemoryRegion(region(1, LOG_DIRTY_PAGES, 0x10, 4));
        MemslotSet before = spaces.active(0);
        spaces.addListener(listener);
        spaces.setUserMemoryRegion(region(1, LOG_DIRTY_PAGES, 0x10, 4));
        assertThat(spaces.active(0)).isSameAs(before);
        assertThat(listener.heard).isEmpty();
    }

    @Test
    void listenersHearEachKindInItsOrder() {
        spaces.addListener(listener);
        spaces.setUserMemoryRegion(ram(1, 0x10, 4));
        spaces.setUserMemoryRegion(region(1, LOG_DIRTY_PAGES, 0x10, 4));
        spaces.setUserMemoryRegion(region(1, LOG_DIRTY_PAGES, 0x11, 4));
        spaces.setUserMemoryRegion(UserMemoryRegion.deletionOf(1));
        assertThat(listener.heard)
                .containsExactly(
                        "prepare CREATE",
                        "generation 0=2",
                        "commit CREATE",
                        "prepare FLAGS_ONLY",
                        "generation 0=4",
                        "commit FLAGS_ONLY",
                        "generation 0=6",
                        "flush 1 invalid",
                        "prepare MOVE",
                        "generation 0=8",
                        "commit MOVE",
                        "generation 0=10",
                        "flush 1 invalid",
                        "prepare DELETE",
                        "generation 0=12",
                        "commit DELETE");
    }

    @Test
    void theGenerationIsMarkedWhileReadersOfTheFormerSetMayRun() {
        long[] during = new long[1];
        spaces.addListener(
                new SlotListener() {
                    @Override
                    public void prepare(SlotChange change) {}

                    @Override
                    public void flush(Memslot invalid) {}

                    @Override
                    public void commit(SlotChange change) {}

                    @Override
                    public void generationChanged(int asId, long generation) {
                        during[0] = spaces.active(asId).generation();
                        assertThat(spaces.active(asId).isUpdateInProgress()).isTrue();
                    }
                });
        spaces.setUserMemoryRegion(ram(1, 0x10, 4));
        assertThat(during[0]).isEqualTo(MemslotSet.UPDATE_IN_PROGRESS);
        assertThat(spaces.active(0).isUpdateInProgress()).isFalse();
    }

    @Test
    void moveKeepsTheDirtyBitmapWithItsBits() {
        spaces.setUserMemoryRegion(region(1, LOG_DIRTY_PAGES, 0x10, 4));
        DirtyBitmap bitmap = Objects.requireNonNull(bitmap(1));
        bitmap.set(3);
        spaces.setUserMemoryRegion(region(1, LOG_DIRTY_PAGES, 0x100, 4));
        assertThat(bitmap(1)).isSameAs(bitmap);
        assertThat(bitmap.test(3)).isTrue();
    }

    @Test
    void moveThatCeasesToLogDropsTheBitmapAndOneThatBeginsGetsAFreshOne() {
        spaces.setUserMemoryRegion(region(1, LOG_DIRTY_PAGES, 0x10, 4));
        Objects.requireNonNull(bitmap(1)).set(3);
        spaces.setUserMemoryRegion(ram(1, 0x100, 4));
        assertThat(bitmap(1)).isNull();
        spaces.setUserMemoryRegion(region(1, LOG_DIRTY_PAGES, 0x10, 4));
        assertThat(Objects.requireNonNull(bitmap(1)).test(3)).isFalse();
    }

    @Test
    void loggingOffAndOnGivesAFreshBitmapByThePolicyOfThatTime() {
        spaces.setUserMemoryRegion(region(1, LOG_DIRTY_PAGES, 0x10, 65));
        Objects.requireNonNull(bitmap(1)).set(3);
        spaces.setUserMemoryRegion(ram(1, 0x10, 65));
        assertThat(bitmap(1)).isNull();

        spaces.setBitmapPolicy(BitmapPolicy.ALL_ONES);
        spaces.setUserMemoryRegion(region(1, LOG_DIRTY_PAGES, 0x10, 65));
        assertThat(Objects.requireNonNull(bitmap(1)).test(64)).isTrue();

        spaces.setBitmapPolicy(BitmapPolicy.NONE);
        spaces.setUserMemoryRegion(region(1, LOG_DIRTY_PAGES, 0x20, 65));
        assertThat(bitmap(1)).as("a bitmap that is there goes along").isNotNull();
        spaces.setUserMemoryRegion(ram(1, 0x20, 65));
        spaces.setUserMemoryRegion(region(1, LOG_DIRTY_PAGES, 0x20, 65));
        assertThat(bitmap(1)).isNull();
        assertThat(Objects.requireNonNull(spaces.slotOf(1)).logsDirty()).isTrue();
    }

    @Test
    void pagesAndLoggingSlotsAreCountedOverAllAddressSpaces() {
        spaces.setUserMemoryRegion(ram(1, 0x10, 4));
        spaces.setUserMemoryRegion(region(1 << 16 | 1, LOG_DIRTY_PAGES, 0x10, 8));
        assertThat(spaces.totalPages()).isEqualTo(12);
        assertThat(spaces.loggingSlots()).isEqualTo(1);
        spaces.setUserMemoryRegion(region(1, LOG_DIRTY_PAGES, 0x80, 4));
        assertThat(spaces.totalPages()).isEqualTo(12);
        assertThat(spaces.loggingSlots()).isEqualTo(2);
        spaces.setUserMemoryRegion(UserMemoryRegion.deletionOf(1 << 16 | 1));
        assertThat(spaces.totalPages()).isEqualTo(4);
        assertThat(spaces.loggingSlots()).isEqualTo(1);
    }

    @Test
    void aRefusedMovePutsTheVerySlotBackButItsMappingsAreGoneAndTheGenerationHasAdvanced() {
        spaces.setUserMemoryRegion(region(1, LOG_DIRTY_PAGES, 0x10, 4));
        Memslot before = Objects.requireNonNull(spaces.slotOf(1));
        Objects.requireNonNull(before.bitmap()).set(2);
        spaces.addListener(listener);

        // Refused by the reach, which is checked after everything else.
        assertThat(errnoOf(spaces, region(1, LOG_DIRTY_PAGES, 1L << 40, 4)))
                .isEqualTo(Errno.EINVAL);

        assertThat(spaces.slotOf(1)).isSameAs(before);
        assertThat(spaces.find(0x10)).isSameAs(before);
        assertThat(Objects.requireNonNull(before.bitmap()).test(2)).isTrue();
        assertThat(spaces.active(0).generation()).isEqualTo(2 + 4);
        assertThat(listener.heard)
                .containsExactly("generation 0=4", "flush 1 invalid", "generation 0=6");
    }

    @Test
    void aRefusedCreationPublishesNothing() {
        spaces.addListener(listener);
        listener.refuseWith(Errno.ENOMEM);
        assertThat(errnoOf(spaces, ram(1, 0x10, 4))).isEqualTo(Errno.ENOMEM);
        assertThat(spaces.active(0).generation()).isZero();
        assertThat(spaces.active(0).size()).isZero();
        assertThat(spaces.totalPages()).isZero();
    }

    @Test
    void aRefusedDeletionAbortsThoseWhoWerePreparedInReverse() {
        spaces.setUserMemoryRegion(ram(1, 0x10, 4));
        RecordingListener first = new RecordingListener("first ");
        RecordingListener second = new RecordingListener("second ");
        spaces.addListener(first);
        spaces.addListener(second);
        second.refuseWith(Errno.EBUSY);

        assertThat(errnoOf(spaces, UserMemoryRegion.deletionOf(1))).isEqualTo(Errno.EBUSY);
        assertThat(first.heard).contains("first prepare DELETE", "first abort DELETE");
        assertThat(second.heard).contains("second prepare DELETE");
        assertThat(second.heard).doesNotContain("second abort DELETE");
        assertThat(Objects.requireNonNull(spaces.slotOf(1)).isInvalid()).isFalse();

        second.refuseWith(null);
        spaces.setUserMemoryRegion(UserMemoryRegion.deletionOf(1));
        assertThat(spaces.slotOf(1)).isNull();
    }

    @Test
    void aListenerThatChangesSlotsIsStoppedAndHarmsNothing() {
        spaces.addListener(
                new SlotListener() {
                    @Override
                    public void prepare(SlotChange change) {
                        spaces.setUserMemoryRegion(ram(9, 0x900, 1));
                    }

                    @Override
                    public void flush(Memslot invalid) {}

                    @Override
                    public void commit(SlotChange change) {}
                });
        assertThatThrownBy(() -> spaces.setUserMemoryRegion(ram(1, 0x10, 4)))
                .isInstanceOf(IllegalStateException.class);
        assertThat(spaces.active(0).size()).isZero();
    }

    @Test
    void anInvalidSlotIsFoundButNotVisible() {
        spaces.setUserMemoryRegion(ram(1, 0x10, 4));
        boolean[] seen = new boolean[1];
        spaces.addListener(
                new SlotListener() {
                    @Override
                    public void prepare(SlotChange change) {}

                    @Override
                    public void flush(Memslot invalid) {
                        Memslot found = Objects.requireNonNull(spaces.find(0x12));
                        assertThat(found).isSameAs(invalid);
                        assertThat(found.isVisible()).isFalse();
                        seen[0] = true;
                    }

                    @Override
                    public void commit(SlotChange change) {}
                });
        assertThat(Objects.requireNonNull(spaces.find(0x12)).isVisible()).isTrue();
        spaces.setUserMemoryRegion(UserMemoryRegion.deletionOf(1));
        assertThat(seen[0]).isTrue();
        assertThat(spaces.find(0x12)).isNull();
    }

    private @Nullable DirtyBitmap bitmap(int id) {
        return Objects.requireNonNull(spaces.slotOf(id)).bitmap();
    }
}
