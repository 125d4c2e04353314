package dev.mdev.core.memslot;

import dev.mdev.core.sync.Srcu;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.function.LongConsumer;

/// The published set of each address space, and the publication of another (Linux
/// `kvm_swap_active_memslots`).
///
/// Generations: address space i of N starts at i and steps by N, so no two sets of a machine ever
/// share one, and a generation tells its address space.
final class SlotPublisher {
    private static final VarHandle SETS = MethodHandles.arrayElementVarHandle(MemslotSet[].class);

    private final MemslotSet[] sets;
    private final Srcu srcu = new Srcu();
    private final ActiveInvalidations invalidations = new ActiveInvalidations();

    SlotPublisher(int addressSpaces) {
        sets = new MemslotSet[addressSpaces];
        for (int asId = 0; asId < addressSpaces; asId++) {
            sets[asId] = MemslotSet.initial(asId);
        }
    }

    MemslotSet active(int asId) {
        // Volatile, not merely acquire: the load must not pass the count of Srcu.readLock.
        return (MemslotSet) SETS.getVolatile(sets, asId);
    }

    Srcu srcu() {
        return srcu;
    }

    ActiveInvalidations invalidations() {
        return invalidations;
    }

    /// Publishes a set and waits for all readers of the previous one. Callers hold the slots lock,
    /// and are outside every read section.
    ///
    /// @param nextGeneration gets the new generation before readers can see it
    void publish(int asId, MemslotSet contents, LongConsumer nextGeneration) {
        long generation = active(asId).generation();
        MemslotSet during = contents.withGeneration(generation | MemslotSet.UPDATE_IN_PROGRESS);
        invalidations.runBetween(() -> SETS.setVolatile(sets, asId, during));
        srcu.synchronize();
        long next = generation + sets.length;
        try {
            nextGeneration.accept(next);
        } finally {
            // The slots are the same, so this needs no wait: a reader that still holds `during`
            // caches nothing under a generation that can return.
            SETS.setVolatile(sets, asId, contents.withGeneration(next));
        }
    }
}
