package dev.mdev.core.mmu;

import dev.mdev.core.sync.Interleavings;

import org.jetbrains.lincheck.datastructures.Operation;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;

import java.util.List;
import java.util.concurrent.locks.ReentrantLock;

/// Searches interleavings of a fault and an invalidation for a mapping that outlives its page. The
/// planted mistakes show that the search would find one.
@Timeout(value = 900, threadMode = ThreadMode.SEPARATE_THREAD)
@Tag("slow")
class InvalidateSeqRaceTest {
    private static final List<String> FAULTS = List.of("fault");
    private static final List<String> INVALIDATION = List.of("invalidate");
    private static final List<String> LOOK = List.of("isMappingStale");

    @Test
    void noMappingOutlivesItsPage() {
        new Interleavings(Scenario.class, Specification.class).search(FAULTS, INVALIDATION, LOOK);
    }

    @Test
    void theSearchFindsAFaultThatDoesNotCompareTheSequence() {
        searchPlanted(IgnoresTheSequence.class);
    }

    @Test
    void theSearchFindsAFaultThatReadsTheSequenceLate() {
        searchPlanted(ReadsTheSequenceLate.class);
    }

    @Test
    void theSearchFindsAnInvalidationThatEndsBeforeThePageGoes() {
        searchPlanted(EndsBeforeThePageGoes.class);
    }

    @Test
    void theSearchFindsAnInvalidationOfTheWrongFrames() {
        searchPlanted(AddsAnotherRange.class);
    }

    private static void searchPlanted(Class<?> scenario) {
        new Interleavings(scenario, Specification.class).searchPlanted(FAULTS, INVALIDATION, LOOK);
    }

    /// When both are done, nothing is mapped that is gone.
    public static final class Specification {
        public void fault() {}

        public void invalidate() {}

        public boolean isMappingStale() {
            return false;
        }
    }

    /// One guest frame, one page of the host, and a table of one entry.
    public static class Scenario {
        static final long GFN = 0x10;

        final ReentrantLock lock = new ReentrantLock();
        final InvalidateSeq sequence = new InvalidateSeq();

        /// The host's entry.
        volatile boolean hostHasPage = true;

        /// The table's entry, under the lock.
        private boolean mapped;

        @Operation
        public void fault() {
            long seen = readSequence();
            boolean resolved = hostHasPage;
            publish(seen, resolved);
        }

        final long readSequence() {
            lock.lock();
            try {
                return sequence.read();
            } finally {
                lock.unlock();
            }
        }

        final void publish(long seen, boolean resolved) {
            lock.lock();
            try {
                if (resolved && !mustRetryLocked(seen)) {
                    mapped = true;
                }
            } finally {
                lock.unlock();
            }
        }

        boolean mustRetryLocked(long seen) {
            return sequence.mustRetryLocked(seen, GFN);
        }

        @Operation
        public void invalidate() {
            begin();
            hostHasPage = false;
            end();
        }

        final void begin() {
            lock.lock();
            try {
                sequence.beginLocked();
                addRangeLocked();
                mapped = false;
            } finally {
                lock.unlock();
            }
        }

        void addRangeLocked() {
            sequence.addLocked(GFN, GFN + 1);
        }

        final void end() {
            lock.lock();
            try {
                sequence.endLocked();
            } finally {
                lock.unlock();
            }
        }

        @Operation
        public boolean isMappingStale() {
            return mapped && !hostHasPage;
        }
    }

    public static final class IgnoresTheSequence extends Scenario {
        @Override
        boolean mustRetryLocked(long seen) {
            return sequence.mustRetryLocked(sequence.read(), GFN);
        }
    }

    public static final class ReadsTheSequenceLate extends Scenario {
        @Override
        @Operation
        public void fault() {
            boolean resolved = hostHasPage;
            publish(readSequence(), resolved);
        }
    }

    public static final class EndsBeforeThePageGoes extends Scenario {
        @Override
        @Operation
        public void invalidate() {
            begin();
            end();
            hostHasPage = false;
        }
    }

    /// A fault that begins and ends within the invalidation sees the sequence unchanged.
    public static final class AddsAnotherRange extends Scenario {
        @Override
        void addRangeLocked() {
            sequence.addLocked(GFN + 1, GFN + 2);
        }
    }
}
