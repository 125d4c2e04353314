package dev.mdev.core.memslot;

import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.addr.HvaRange;

import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.function.Consumer;

/// The slots of one address space at one time (Linux `struct kvm_memslots`).
///
/// A set never changes: a change of a slot makes another set, of another generation. The slots are
/// disjoint in guest frames and sorted by them. Any thread may call all methods; lookups do not
/// allocate.
///
/// Lookups return slots as they are, including INVALID slots and slots that are hidden outside
/// system management mode: callers apply those rules.
public final class MemslotSet {
    /// The bit of a generation that is set from the publication of a set until all readers of the
    /// previous set have left.
    public static final long UPDATE_IN_PROGRESS = 1L << 63;

    private static final int CHUNK_BITS = 8;
    private static final int CHUNK_SLOTS = 1 << CHUNK_BITS;
    private static final int CHUNKS = (SlotIds.ALL_SLOTS + CHUNK_SLOTS - 1) >> CHUNK_BITS;
    private static final @Nullable Memslot[] NO_SLOTS = new @Nullable Memslot[CHUNK_SLOTS];

    private final long generation;
    private final long[] baseGfns;
    private final Memslot[] byGfn;

    /// By id, in chunks so that a change copies few of them.
    private final @Nullable Memslot[][] byId;

    private final HvaIndex byHva;

    /// Position in `byGfn` of the slot that the last lookup found: a guess, checked at each use. A
    /// plain field on purpose: readers race on it, and every value is only a guess.
    private int lastUsed;

    /// The empty set that address space `asId` starts with.
    static MemslotSet initial(int asId) {
        @Nullable Memslot[][] byId = new @Nullable Memslot[CHUNKS][];
        Arrays.fill(byId, NO_SLOTS);
        return new MemslotSet(asId, new long[0], new Memslot[0], byId, HvaIndex.EMPTY);
    }

    private MemslotSet(
            long generation,
            long[] baseGfns,
            Memslot[] byGfn,
            @Nullable Memslot[][] byId,
            HvaIndex byHva) {
        this.generation = generation;
        this.baseGfns = baseGfns;
        this.byGfn = byGfn;
        this.byId = byId;
        this.byHva = byHva;
    }

    /// The same slots under another generation.
    MemslotSet withGeneration(long next) {
        MemslotSet set = new MemslotSet(next, baseGfns, byGfn, byId, byHva);
        set.lastUsed = lastUsed;
        return set;
    }

    /// The set with one more slot.
    MemslotSet plus(Memslot slot) {
        int at = -position(slot.baseGfn()) - 1;
        return new MemslotSet(
                generation,
                SlotArrays.inserted(baseGfns, at, slot.baseGfn()),
                SlotArrays.inserted(byGfn, at, slot),
                byIdWith(slot.id(), slot),
                byHva.with(slot));
    }

    /// The set without one of its slots.
    MemslotSet minus(Memslot slot) {
        int at = position(slot.baseGfn());
        return new MemslotSet(
                generation,
                SlotArrays.removed(baseGfns, at),
                SlotArrays.removed(byGfn, at),
                byIdWith(slot.id(), null),
                byHva.without(slot));
    }

    /// The set with one of its slots replaced by another of the same id and size.
    MemslotSet replacing(Memslot old, Memslot slot) {
        if (slot.baseGfn() != old.baseGfn() || slot.hva() != old.hva()) {
            return minus(old).plus(slot);
        }
        return new MemslotSet(
                generation,
                baseGfns,
                SlotArrays.replaced(byGfn, position(slot.baseGfn()), slot),
                byIdWith(slot.id(), slot),
                byHva.replacing(slot));
    }

    /// The set's generation: different for every set that this virtual machine publishes, in any
    /// address space. Tag a cached value with it, and drop the value when the published set has
    /// another generation.
    public long generation() {
        return generation;
    }

    /// Whether readers of the previous set may still be running.
    public boolean isUpdateInProgress() {
        return (generation & UPDATE_IN_PROGRESS) != 0;
    }

    /// Slots in the set.
    public int size() {
        return byGfn.length;
    }

    /// The slot of the guest frame, or null. Tries the slot of the last such lookup first.
    public @Nullable Memslot find(long gfn) {
        Memslot[] slots = byGfn;
        int guess = lastUsed;
        if (guess < slots.length && slots[guess].contains(gfn)) {
            return slots[guess];
        }
        int at = floor(gfn);
        if (at < 0 || !slots[at].contains(gfn)) {
            return null;
        }
        lastUsed = at;
        return slots[at];
    }

    /// The slot of the guest frame, or null. For callers with a cache of their own: leaves
    /// [#find]'s guess unchanged.
    public @Nullable Memslot search(long gfn) {
        int at = floor(gfn);
        return at >= 0 && byGfn[at].contains(gfn) ? byGfn[at] : null;
    }

    /// The slot of an id, or null.
    ///
    /// @param id 0 to 32766
    public @Nullable Memslot byId(int id) {
        return byId[id >> CHUNK_BITS][id & (CHUNK_SLOTS - 1)];
    }

    /// Calls `action` for each slot, in the order of their guest frames.
    public void forEach(Consumer<Memslot> action) {
        for (Memslot slot : byGfn) {
            action.accept(slot);
        }
    }

    /// Calls `action` for each slot that has some of the guest frames, in their order.
    public void forEachIn(GfnRange gfns, Consumer<Memslot> action) {
        int first = firstEndingAfter(gfns.firstGfn());
        for (int i = first; i < byGfn.length && baseGfns[i] < gfns.endGfn(); i++) {
            action.accept(byGfn[i]);
        }
    }

    /// Calls `action` for each slot whose host memory overlaps the range, in the order of their
    /// host addresses.
    public void forEachIn(HvaRange hvas, Consumer<Memslot> action) {
        byHva.forEachOverlapping(hvas, action);
    }

    /// A slot other than that of `id` that has some of the guest frames, or null.
    @Nullable Memslot overlapping(GfnRange gfns, int id) {
        int first = firstEndingAfter(gfns.firstGfn());
        for (int i = first; i < byGfn.length && baseGfns[i] < gfns.endGfn(); i++) {
            if (byGfn[i].id() != id) {
                return byGfn[i];
            }
        }
        return null;
    }

    private int firstEndingAfter(long gfn) {
        int at = floor(gfn);
        return at >= 0 && byGfn[at].contains(gfn) ? at : at + 1;
    }

    /// The position of the last slot that begins at or before the frame, or -1.
    private int floor(long gfn) {
        int at = position(gfn);
        return at >= 0 ? at : -at - 2;
    }

    private int position(long baseGfn) {
        return Arrays.binarySearch(baseGfns, baseGfn);
    }

    private @Nullable Memslot[][] byIdWith(int id, @Nullable Memslot slot) {
        @Nullable Memslot[][] result = byId.clone();
        @Nullable Memslot[] chunk = result[id >> CHUNK_BITS].clone();
        chunk[id & (CHUNK_SLOTS - 1)] = slot;
        result[id >> CHUNK_BITS] = chunk;
        return result;
    }

    @Override
    public String toString() {
        return "MemslotSet[generation=0x%x %s]".formatted(generation, Arrays.toString(byGfn));
    }
}
