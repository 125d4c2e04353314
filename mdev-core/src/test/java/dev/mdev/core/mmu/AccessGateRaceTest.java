package dev.mdev.core.mmu;

import dev.mdev.core.sync.Interleavings;

import org.jetbrains.lincheck.datastructures.Operation;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;

import java.util.List;

/// Searches interleavings of a vCPU and a thread that takes its page away, for an access that
/// reaches the page when it has another owner. The planted bugs show that the search would find
/// one.
@Timeout(value = 900, threadMode = ThreadMode.SEPARATE_THREAD)
@Tag("slow")
class AccessGateRaceTest {
    private static final List<String> ACCESSES = List.of("access", "access");
    private static final List<String> REVOCATION = List.of("revoke");

    @Test
    void noAccessReachesAPageThatWasTakenAway() {
        new Interleavings(Real.class, Specification.class).search(ACCESSES, REVOCATION);
    }

    @Test
    void theSearchFindsAFlushThatDoesNotWait() {
        searchPlanted(DoesNotWait.class);
    }

    @Test
    void theSearchFindsAFlushThatAsksBeforeTheTableChanges() {
        searchPlanted(AsksBeforeTheChange.class);
    }

    @Test
    void theSearchFindsAProcessorThatLooksBeforeItIsInside() {
        searchPlanted(LooksBeforeItIsInside.class);
    }

    @Test
    void theSearchFindsAProcessorThatKeepsWhatItCached() {
        searchPlanted(KeepsItsCache.class);
    }

    private static void searchPlanted(Class<?> scenario) {
        new Interleavings(scenario, Specification.class)
                .searchPlanted(ACCESSES, REVOCATION, List.of());
    }

    /// No access is ever wrong.
    public static final class Specification {
        public boolean access() {
            return false;
        }

        public void revoke() {}
    }

    /// One page, mapped at the start, and one vCPU with a cache of one translation.
    public abstract static class Scenario {
        final AccessGate gate = new AccessGate();
        final AccessGate.Seat seat = gate.newSeat();

        /// The table's entry.
        private volatile boolean mapped = true;

        /// The page has another owner.
        private volatile boolean taken;

        /// The vCPU's own.
        private boolean cached;

        final Runnable drop =
                new Runnable() {
                    @Override
                    public void run() {
                        dropCache();
                    }
                };

        /// @return whether the access was wrong
        @Operation
        public boolean access() {
            enterAndLook();
            cached |= mapped;
            boolean wrong = cached && taken;
            seat.leave();
            return wrong;
        }

        void enterAndLook() {
            seat.enter();
            if (seat.flushRequested()) {
                seat.acknowledgeAfter(drop);
            }
        }

        void dropCache() {
            cached = false;
        }

        @Operation
        public void revoke() {
            unmap();
            if (flush()) {
                taken = true;
            }
        }

        final void unmap() {
            mapped = false;
        }

        boolean flush() {
            return gate.tryFlush(2);
        }
    }

    public static final class Real extends Scenario {}

    public static final class DoesNotWait extends Scenario {
        @Override
        boolean flush() {
            var _ = super.flush();
            return true;
        }
    }

    public static final class AsksBeforeTheChange extends Scenario {
        private boolean flushed;

        @Override
        @Operation
        public void revoke() {
            flushed = super.flush();
            super.revoke();
        }

        @Override
        boolean flush() {
            return flushed;
        }
    }

    public static final class LooksBeforeItIsInside extends Scenario {
        @Override
        void enterAndLook() {
            boolean asked = seat.flushRequested();
            seat.enter();
            if (asked) {
                seat.acknowledgeAfter(drop);
            }
        }
    }

    public static final class KeepsItsCache extends Scenario {
        @Override
        void dropCache() {}
    }
}
