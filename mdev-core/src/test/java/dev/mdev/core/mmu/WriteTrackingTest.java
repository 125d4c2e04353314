package dev.mdev.core.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Page;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotConfig;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

class WriteTrackingTest {
    private static final long GPA = 0x10_0000;

    private final MmuMachine machine = new MmuMachine(SlotConfig.x86());
    private final Stage2Mmu mmu = machine.guest.mmu();
    private final List<Long> told = new ArrayList<>();
    private final Vma ram = machine.map(8);

    WriteTrackingTest() {
        createSlot();
        mmu.tracking().addTracker((gpa, _, _) -> told.add(gpa));
    }

    @AfterEach
    void close() {
        machine.close();
    }

    private void createSlot() {
        machine.slot(3, 0, GPA, 8 * Page.SIZE, ram.range().startHva());
    }

    private Memslot slot() {
        return Objects.requireNonNull(machine.slots.slotOf(3));
    }

    private static long gfn(long page) {
        return Page.numberOf(GPA) + page;
    }

    @Test
    void aPageThatTwoWatchIsWatchedUntilBothAreDone() {
        mmu.watchWrites(slot(), gfn(2));
        mmu.watchWrites(slot(), gfn(2));
        mmu.unwatchWrites(slot(), gfn(2));
        machine.store(GPA + 2 * Page.SIZE, 1);
        assertThat(told).hasSize(1);

        mmu.unwatchWrites(slot(), gfn(2));
        machine.store(GPA + 2 * Page.SIZE, 2);

        assertThat(told).hasSize(1);
    }

    @Test
    void watchesGoWithTheirSlot() {
        mmu.watchWrites(slot(), gfn(2));
        machine.delete(3);
        createSlot();

        machine.store(GPA + 2 * Page.SIZE, 1);

        assertThat(told).isEmpty();
        assertThat(mmu.tracking().isWatched(slot(), gfn(2))).isFalse();
    }

    @Test
    void onlyBlocksWithAWatchedPageAreWatched() {
        mmu.watchWrites(slot(), gfn(2));

        assertThat(mmu.tracking().anyWatched(slot(), gfn(0), 2)).isFalse();
        assertThat(mmu.tracking().anyWatched(slot(), gfn(0), 3)).isTrue();
        assertThat(mmu.tracking().anyWatched(slot(), gfn(2), 1)).isTrue();
        assertThat(mmu.tracking().anyWatched(slot(), gfn(3), 4)).isFalse();
    }
}
