package dev.mdev.core.memslot;

import static dev.mdev.core.memslot.SlotRequests.errnoOf;
import static dev.mdev.core.memslot.SlotRequests.ram;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.addr.HvaRange;

import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;

class MemslotSetTest {
    @Test
    void everyIdOfAnAddressSpaceCanBeUsedAtOnce() {
        AddressSpaces spaces = new AddressSpaces(SlotConfig.x86());
        for (int id = 0; id < SlotIds.USER_SLOTS; id++) {
            // Descending, so that every insertion is at the front: the worst case.
            spaces.setUserMemoryRegion(tiny(id, 2L * (SlotIds.USER_SLOTS - id)));
        }
        MemslotSet set = spaces.active(0);
        assertThat(set.size()).isEqualTo(32764);
        assertThat(errnoOf(spaces, tiny(SlotIds.USER_SLOTS, 0))).isEqualTo(Errno.EINVAL);
        assertThat(Objects.requireNonNull(set.find(2)).id()).isEqualTo(32763);
        assertThat(set.find(3)).isNull();
        assertThat(Objects.requireNonNull(set.byId(12345)).baseGfn())
                .isEqualTo(2L * (SlotIds.USER_SLOTS - 12345));
        spaces.setUserMemoryRegion(UserMemoryRegion.deletionOf(12345));
        assertThat(spaces.active(0).size()).isEqualTo(32763);
        assertThat(set.size()).as("a published set never changes").isEqualTo(32764);
    }

    @Test
    void slotsOfAHostRangeAreThoseThatAComparisonOfAllFinds() {
        long seed = Seeds.fresh();
        SplittableRandom random = new SplittableRandom(seed);
        MemslotSet set = MemslotSet.initial(0);
        for (int id = 0; id < 300; id++) {
            long npages = 1L + random.nextInt(random.nextInt(1, 40));
            set = set.plus(slot(id, 64L * id, npages, Page.addressOf(random.nextInt(400))));
        }
        for (int id = 0; id < 300; id += 3) {
            set = set.minus(Objects.requireNonNull(set.byId(id)));
        }
        for (int query = 0; query < 2000; query++) {
            HvaRange range =
                    HvaRange.ofPages(Page.addressOf(random.nextInt(450)), 1 + random.nextInt(60));
            List<Integer> found = new ArrayList<>();
            set.forEachIn(range, slot -> found.add(slot.id()));
            List<Integer> expected = new ArrayList<>();
            set.forEach(slot -> {
                if (slot.hvas().overlaps(range)) {
                    expected.add(slot.id());
                }
            });
            assertThat(found)
                    .as("-Dmdev.seed=%d %s", seed, range)
                    .doesNotHaveDuplicates()
                    .containsExactlyInAnyOrderElementsOf(expected);
        }
    }

    @Test
    void slotsOfAGfnRangeBeginWithTheOneThatItStartsIn() {
        MemslotSet set =
                MemslotSet.initial(0)
                        .plus(slot(0, 10, 10, 0))
                        .plus(slot(1, 20, 1, 0))
                        .plus(slot(2, 30, 5, 0));
        assertThat(idsIn(set, new GfnRange(0, 10))).isEmpty();
        assertThat(idsIn(set, new GfnRange(19, 1))).containsExactly(0);
        assertThat(idsIn(set, new GfnRange(19, 12))).containsExactly(0, 1, 2);
        assertThat(idsIn(set, new GfnRange(21, 9))).isEmpty();
        assertThat(idsIn(set, new GfnRange(34, 100))).containsExactly(2);
        assertThat(idsIn(set, new GfnRange(0, GfnRange.GFN_LIMIT))).containsExactly(0, 1, 2);
    }

    @Test
    void theLastSlotUsedIsOnlyAGuess() {
        MemslotSet set = MemslotSet.initial(0).plus(slot(0, 10, 10, 0)).plus(slot(1, 30, 10, 0));
        assertThat(Objects.requireNonNull(set.find(35)).id()).isOne();
        assertThat(Objects.requireNonNull(set.find(15)).id()).isZero();
        assertThat(set.find(25)).isNull();
        assertThat(set.find(-1)).isNull();
        MemslotSet one = set.withGeneration(7).minus(Objects.requireNonNull(set.byId(1)));
        assertThat(one.find(35)).isNull();
        assertThat(Objects.requireNonNull(one.find(15)).id()).isZero();
    }

    @Test
    void theFirstAndTheLastFrameOfTheGuestCanBeInASlot() {
        AddressSpaces spaces =
                new AddressSpaces(
                        new SlotConfig(1, GfnRange.GFN_LIMIT - 1, 0x7fff_ffff_f000L, false));
        spaces.setUserMemoryRegion(ram(0, 0, 1));
        // The very last frame is out of reach: its end would be 2^64.
        spaces.setUserMemoryRegion(ram(1, GfnRange.GFN_LIMIT - 2, 1));
        assertThat(errnoOf(spaces, ram(2, GfnRange.GFN_LIMIT - 1, 1))).isEqualTo(Errno.EINVAL);
        assertThat(Objects.requireNonNull(spaces.find(0)).id()).isZero();
        assertThat(Objects.requireNonNull(spaces.find(GfnRange.GFN_LIMIT - 2)).id()).isOne();
        assertThat(spaces.find(GfnRange.GFN_LIMIT - 1)).isNull();
    }

    private static List<Integer> idsIn(MemslotSet set, GfnRange gfns) {
        List<Integer> ids = new ArrayList<>();
        set.forEachIn(gfns, slot -> ids.add(slot.id()));
        return ids;
    }

    private static UserMemoryRegion tiny(int id, long gfn) {
        return new UserMemoryRegion(id, 0, Page.addressOf(gfn), Page.SIZE, Page.addressOf(gfn));
    }

    private static Memslot slot(int id, long gfn, long npages, long hva) {
        return new Memslot(
                new UserMemoryRegion(id, 0, Page.addressOf(gfn), Page.addressOf(npages), hva),
                null);
    }
}
