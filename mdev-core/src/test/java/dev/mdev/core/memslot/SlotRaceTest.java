package dev.mdev.core.memslot;

import static dev.mdev.core.memslot.SlotRequests.ram;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Page;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.guestmem.GuestMemoryCache;
import dev.mdev.core.guestmem.HostMemoryAccess;
import dev.mdev.core.support.Together;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;

/// Real threads: one changes slots, two read them. Each rule is tried twice: with the real code,
/// and with a planted bug that must be found.
@Timeout(value = 900, threadMode = ThreadMode.SEPARATE_THREAD)
@Tag("slow")
class SlotRaceTest {
    private static final int CHANGES = 1500 * Integer.getInteger("mdev.rounds", 1);

    /// Changes in one try to find a planted mistake.
    private static final int CHANGES_OF_PLANTED = 20_000;

    private static final long GFN = 0x12;

    @Test
    void aSlotThatMovesIsNeverAbsentAndNotUsedOnceItsMappingsAreDropped() {
        assertThat(isWrong(new Mover(), CHANGES)).isFalse();
    }

    @Test
    void aReaderOutsideASectionIsFound() {
        Together.untilFound(() -> isWrong(new ReaderWithoutSection(), CHANGES_OF_PLANTED));
    }

    @Test
    void aMoveByDeletionAndCreationIsFound() {
        Together.untilFound(() -> isWrong(new MoverByDeletion(), CHANGES_OF_PLANTED));
    }

    @Test
    void theCacheOfAProcessorForgetsADeletedSlot() {
        assertThat(isWrong(new CachedReader(), CHANGES)).isFalse();
    }

    @Test
    void aCacheThatDoesNotCompareGenerationsIsFound() {
        Together.untilFound(() -> isWrong(new StaleCache(), CHANGES_OF_PLANTED));
    }

    @Test
    void theCacheOfAnAddressFollowsTheSlot() {
        assertThat(isWrong(new CachedAddress(), CHANGES)).isFalse();
    }

    @Test
    void aCachedAddressOutsideASectionIsFound() {
        Together.untilFound(() -> isWrong(new StaleAddress(), CHANGES_OF_PLANTED));
    }

    @Test
    void bothEndsOfAnInvalidationFindTheSameSlots() {
        assertThat(isWrong(new Invalidator(), CHANGES)).isFalse();
    }

    @Test
    void anInvalidationThatIsNotCountedIsFound() {
        Together.untilFound(() -> isWrong(new UncountedInvalidator(), CHANGES_OF_PLANTED));
    }

    @Test
    void readersThatShareAGuessFindTheirOwnSlots() {
        assertThat(isWrong(new Guesser(), CHANGES)).isFalse();
    }

    @Test
    void aGuessThatIsReadTwiceIsFound() {
        Together.untilFound(() -> isWrong(new GuessReadTwice(), CHANGES_OF_PLANTED));
    }

    /// Lets two threads read while one changes slots.
    ///
    /// @return whether a reader was wrong
    private static boolean isWrong(Scenario scenario, int changes) {
        Together.run(
                () -> {
                    try {
                        for (int i = 1; i <= changes && !scenario.wrong; i++) {
                            scenario.change(i);
                        }
                    } finally {
                        scenario.over = true;
                    }
                },
                () -> scenario.read(1),
                () -> scenario.read(2));
        return scenario.wrong;
    }

    /// What reads a machine's slots, on one thread.
    @FunctionalInterface
    private interface Reader {
        /// @return whether it was wrong
        boolean read(SplittableRandom random);
    }

    /// A machine with one slot.
    private abstract static class Scenario {
        final AddressSpaces spaces = new AddressSpaces(SlotConfig.withoutSmm());

        /// Slots that are no longer valid.
        final Set<Memslot> gone = ConcurrentHashMap.newKeySet();

        volatile boolean wrong;
        volatile boolean over;

        Scenario() {
            spaces.setUserMemoryRegion(ram(1, 0x10, 4));
        }

        abstract void change(int number);

        abstract Reader newReader(int reader);

        final void read(int readerNumber) {
            Reader reader = newReader(readerNumber);
            SplittableRandom random = new SplittableRandom(readerNumber);
            while (!over && !wrong) {
                if (reader.read(random)) {
                    wrong = true;
                }
            }
        }

        final Memslot slot() {
            return Objects.requireNonNull(spaces.slotOf(1));
        }

        /// Deletes the slot and creates it again at other host memory.
        final void replace(int number) {
            Memslot before = slot();
            spaces.setUserMemoryRegion(UserMemoryRegion.deletionOf(1));
            gone.add(before);
            spaces.setUserMemoryRegion(
                    new UserMemoryRegion(
                            1, 0, Page.addressOf(0x10), Page.addressOf(4), hvaOf(number)));
        }

        static long hvaOf(int number) {
            return SlotRequests.HVA + Page.addressOf(16L * number);
        }
    }

    /// Moves the slot by two frames, to and fro, so that one frame is always in it.
    private static class Mover extends Scenario {
        private volatile @Nullable Memslot moving;

        Mover() {
            spaces.addListener(
                    new SlotListener() {
                        @Override
                        public void prepare(SlotChange change) {}

                        @Override
                        public void flush(Memslot invalid) {
                            gone.add(Objects.requireNonNull(moving));
                        }

                        @Override
                        public void commit(SlotChange change) {}
                    });
        }

        @Override
        void change(int number) {
            moving = slot();
            move(placeOf(number));
        }

        void move(long gfn) {
            spaces.setUserMemoryRegion(ram(1, gfn, 4));
        }

        static long placeOf(int number) {
            return number % 2 == 0 ? 0x10 : 0x12;
        }

        @Override
        Reader newReader(int reader) {
            return random -> {
                int section = spaces.srcu().readLock();
                try {
                    return findsAbsentOrGone(random);
                } finally {
                    spaces.srcu().readUnlock(section);
                }
            };
        }

        final boolean findsAbsentOrGone(SplittableRandom random) {
            Memslot found = spaces.find(GFN);
            if (found == null) {
                return true;
            }
            Together.pause(random);
            return gone.contains(found);
        }
    }

    private static final class ReaderWithoutSection extends Mover {
        @Override
        Reader newReader(int reader) {
            return this::findsAbsentOrGone;
        }
    }

    private static final class MoverByDeletion extends Mover {
        @Override
        void move(long gfn) {
            spaces.setUserMemoryRegion(UserMemoryRegion.deletionOf(1));
            super.move(gfn);
        }
    }

    private static class CachedReader extends Scenario {
        @Override
        void change(int number) {
            replace(number);
        }

        @Override
        Reader newReader(int reader) {
            VcpuMemslots vcpu = new VcpuMemslots(spaces, reader);
            return random -> {
                int section = spaces.srcu().readLock();
                try {
                    Memslot found = vcpu.find(GFN);
                    Together.pause(random);
                    return found != null && gone.contains(found);
                } finally {
                    spaces.srcu().readUnlock(section);
                }
            };
        }
    }

    /// Trusts its first result as long as it has the frame.
    private static final class StaleCache extends CachedReader {
        @Override
        Reader newReader(int reader) {
            @Nullable Memslot[] cached = new @Nullable Memslot[1];
            return random -> {
                int section = spaces.srcu().readLock();
                try {
                    if (cached[0] == null || cached[0].isInvalid()) {
                        cached[0] = spaces.find(GFN);
                    }
                    Together.pause(random);
                    return cached[0] != null && gone.contains(cached[0]);
                } finally {
                    spaces.srcu().readUnlock(section);
                }
            };
        }
    }

    /// Writes through a cache; the host memory of a slot that is gone must not be reached.
    private static class CachedAddress extends Scenario {
        final Set<Long> goneHvas = ConcurrentHashMap.newKeySet();

        @Override
        void change(int number) {
            long before = slot().hva();
            replace(number);
            goneHvas.add(before);
        }

        @Override
        Reader newReader(int reader) {
            boolean[] reachedGone = new boolean[1];
            GuestMemoryCache cache =
                    new GuestMemoryCache(spaces, new WriteWatcher(goneHvas, reachedGone));
            Together.await("the slot is there", () -> cache.init(Page.addressOf(0x10), 8).isOk());
            MemorySegment source = MemorySegment.ofArray(new byte[8]);
            return random -> {
                var _ = cache.write(0, source);
                return reachedGone[0];
            };
        }
    }

    private static final class StaleAddress extends CachedAddress {
        @Override
        Reader newReader(int reader) {
            return random -> {
                Memslot found = spaces.find(0x10);
                Together.pause(random);
                return found != null && goneHvas.contains(found.hva());
            };
        }
    }

    /// Host memory that is never there, but knows where it was written.
    private static final class WriteWatcher implements HostMemoryAccess {
        private final SplittableRandom random = new SplittableRandom(3);
        private final Set<Long> goneHvas;
        private final boolean[] reachedGone;

        WriteWatcher(Set<Long> goneHvas, boolean[] reachedGone) {
            this.goneHvas = goneHvas;
            this.reachedGone = reachedGone;
        }

        @Override
        public boolean read(long hva, MemorySegment destination) {
            return false;
        }

        @Override
        public boolean readWithoutFault(long hva, MemorySegment destination) {
            return false;
        }

        @Override
        public boolean write(long hva, MemorySegment source) {
            Together.pause(random);
            reachedGone[0] |= goneHvas.contains(hva);
            return true;
        }

        @Override
        public Exchange compareExchange(long hva, int sizeBytes, long expected, long replacement) {
            return Exchange.FAULT;
        }
    }

    private static class Invalidator extends Scenario {
        private static final HvaRange ALL = HvaRange.ofPages(SlotRequests.HVA, 1L << 30);

        @Override
        void change(int number) {
            replace(number);
        }

        @Override
        Reader newReader(int reader) {
            return random -> {
                spaces.invalidateBegin();
                try {
                    return findsDifferentSlots(random);
                } finally {
                    spaces.invalidateEnd();
                    // Two threads without a gap between them would block the change forever.
                    Together.pause(random);
                }
            };
        }

        final boolean findsDifferentSlots(SplittableRandom random) {
            List<Memslot> atBegin = new ArrayList<>();
            spaces.forEachIn(ALL, atBegin::add);
            Together.pause(random);
            List<Memslot> atEnd = new ArrayList<>();
            spaces.forEachIn(ALL, atEnd::add);
            return !atBegin.equals(atEnd);
        }
    }

    private static final class UncountedInvalidator extends Invalidator {
        @Override
        Reader newReader(int reader) {
            return this::findsDifferentSlots;
        }
    }

    /// Many slots side by side, in a set whose last guess all readers share.
    private static class Guesser extends Scenario {
        private static final int SLOTS = 16;

        Guesser() {
            for (int id = 2; id < SLOTS + 2; id++) {
                spaces.setUserMemoryRegion(ram(id, 0x10L * id, 0x10));
            }
        }

        @Override
        void change(int number) {
            replace(number);
        }

        @Override
        Reader newReader(int reader) {
            return random -> {
                MemslotSet set = spaces.active(0);
                for (int i = 0; i < 64; i++) {
                    long gfn = 0x20 + random.nextLong(SLOTS * 0x10);
                    Memslot found = find(set, gfn, random);
                    if (found == null || !found.contains(gfn)) {
                        return true;
                    }
                }
                return false;
            };
        }

        @Nullable Memslot find(MemslotSet set, long gfn, SplittableRandom random) {
            return set.find(gfn);
        }
    }

    /// Checks the guess, and then takes the current guess.
    private static final class GuessReadTwice extends Guesser {
        private volatile @Nullable Memslot guess;

        @Override
        @Nullable Memslot find(MemslotSet set, long gfn, SplittableRandom random) {
            Memslot guessed = guess;
            if (guessed != null && guessed.contains(gfn)) {
                Together.pause(random);
                return guess;
            }
            guess = set.search(gfn);
            return set.search(gfn);
        }
    }
}
