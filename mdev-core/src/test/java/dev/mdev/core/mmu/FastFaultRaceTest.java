package dev.mdev.core.mmu;

import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.sync.Interleavings;

import org.jetbrains.lincheck.datastructures.Operation;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;

import java.util.List;

/// Searches interleavings of a vCPU that restores its write permission without a lock, and a VMM
/// that collects marks, takes permissions and copies, for one after which the copy differs from
/// memory: the parts of [Stage2Mmu]'s fast fault, put together in the same way. The planted bugs
/// show that the search would find one.
@Timeout(value = 900, threadMode = ThreadMode.SEPARATE_THREAD)
@Tag("slow")
class FastFaultRaceTest {
    private static final List<String> WRITES = List.of("write", "write");
    private static final List<String> COLLECTION = List.of("collect");
    private static final List<String> LOOK = List.of("isCopyStale");

    @Test
    void whatIsWrittenIsCopied() {
        new Interleavings(Scenario.class, Specification.class).search(WRITES, COLLECTION, LOOK);
    }

    @Test
    void aMarkBeforeTheRightIsFound() {
        searchPlanted(MarksFirst.class, WRITES.subList(0, 1));
    }

    @Test
    void aCopyBeforeTheFlushIsFound() {
        searchPlanted(CopiesUnflushed.class, WRITES);
    }

    @Test
    void aCollectionThatLeavesTheRightIsFound() {
        searchPlanted(LeavesTheRight.class, WRITES);
    }

    private static void searchPlanted(Class<?> scenario, List<String> writes) {
        new Interleavings(scenario, Specification.class).searchPlanted(writes, COLLECTION, LOOK);
    }

    /// When all is collected, the copy is what was written.
    public static final class Specification {
        public void write() {}

        public void collect() {}

        public boolean isCopyStale() {
            return false;
        }
    }

    /// One page of a slot that logs, mapped without the right to write.
    public static class Scenario {
        static final long GFN = 0x10;

        final Stage2Table table = new Stage2Table();
        final DirtyBitmap marks = new DirtyBitmap(64);
        private final AccessGate gate = new AccessGate();
        private final AccessGate.Seat seat = gate.newSeat();

        /// The vCPU's cached right.
        private boolean cached;

        private final Runnable drop =
                new Runnable() {
                    @Override
                    public void run() {
                        cached = false;
                    }
                };

        private volatile int page;
        private volatile int copy;

        public Scenario() {
            table.installLocked(Stage2Table.LEVEL_4K, GFN, Stage2Entry.of(1, true, false));
        }

        @Operation
        @SuppressWarnings("NonAtomicVolatileUpdate") // there is one vCPU
        public void write() {
            seat.enter();
            while (true) {
                if (seat.flushRequested()) {
                    seat.acknowledgeAfter(drop);
                }
                if (cached || Stage2Entry.isWritable(table.walk(GFN))) {
                    break;
                }
                fault();
            }
            cached = true;
            page = page + 1;
            seat.leave();
        }

        void fault() {
            if (table.makeWritable(GFN)) {
                marks.set(0);
            }
        }

        @Operation
        public void collect() {
            boolean[] any = new boolean[1];
            marks.harvest((_, _) -> any[0] = true);
            if (any[0]) {
                protect();
                if (flush()) {
                    copy = page;
                } else {
                    // The search cannot wait: it is as if the collection were yet to come.
                    marks.set(0);
                }
            }
        }

        void protect() {
            table.writeProtectLocked(GFN, 1);
        }

        boolean flush() {
            return gate.tryFlush(2);
        }

        @Operation
        public boolean isCopyStale() {
            collect();
            return copy != page;
        }
    }

    /// The mark can be taken, and the permission with it, before the permission exists.
    public static final class MarksFirst extends Scenario {
        @Override
        void fault() {
            marks.set(0);
            table.makeWritable(GFN);
        }
    }

    public static final class CopiesUnflushed extends Scenario {
        @Override
        boolean flush() {
            return true;
        }
    }

    public static final class LeavesTheRight extends Scenario {
        @Override
        void protect() {}
    }
}
