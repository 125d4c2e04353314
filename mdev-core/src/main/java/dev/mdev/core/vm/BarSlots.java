package dev.mdev.core.vm;

import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.UserMemoryRegion;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// The memory slots of a machine's BARs, and the way from one state to another. Used under the lock
/// of [BarMapper].
final class BarSlots {
    private final AddressSpaces slots;
    private final int firstSlot;
    private final BitSet used = new BitSet();
    private final Map<Piece, Placed> placed = new HashMap<>();

    /// The initial state of new slots.
    private int flags;

    /// @param firstSlot the lowest slot number for BARs
    BarSlots(AddressSpaces slots, int firstSlot) {
        this.slots = slots;
        this.firstSlot = firstSlot;
    }

    /// A part of a mapped area that one slot shows.
    ///
    /// @param offsetBytes in the vma
    record Piece(AttachedDevice device, Vma vma, long offsetBytes, long sizeBytes) {
        long hva() {
            return vma.range().startHva() + offsetBytes;
        }

        GfnRange gfnsAt(long gpa) {
            return new GfnRange(Page.numberOf(gpa), Page.numberOf(sizeBytes));
        }
    }

    private record Placed(int slot, long gpa) {}

    /// The frames that slots will leave on the way to `wanted`.
    List<GfnRange> leaving(Map<Piece, Long> wanted) {
        List<GfnRange> ranges = new ArrayList<>();
        placed.forEach((piece, at) -> {
            Long gpa = wanted.get(piece);
            if (gpa == null || gpa != at.gpa) {
                ranges.add(piece.gfnsAt(at.gpa));
            }
        });
        return ranges;
    }

    /// Deletes, moves and creates slots. If one cannot be created or moved, it is left out: its
    /// accesses trap, and the next change tries again.
    ///
    /// @param wanted the place of each piece
    /// @return the failures, by device
    Map<AttachedDevice, MdevException> apply(Map<Piece, Long> wanted) {
        Map<AttachedDevice, MdevException> failures = new HashMap<>();
        new HashMap<>(placed)
                .forEach((piece, at) -> {
                    if (!wanted.containsKey(piece)) {
                        attempt(piece, failures, () -> delete(piece, at));
                    }
                });
        new HashMap<>(placed)
                .forEach((piece, at) -> {
                    Long gpa = wanted.get(piece);
                    if (gpa != null && gpa != at.gpa) {
                        attempt(piece, failures, () -> move(piece, at, gpa));
                    }
                });
        wanted.forEach((piece, gpa) -> {
            if (!placed.containsKey(piece)) {
                attempt(piece, failures, () -> create(piece, gpa));
            }
        });
        return failures;
    }

    /// Starts or stops logging, in existing and future slots. If a slot refuses, all are as before.
    void setLogging(boolean on) {
        int before = flags;
        flags = on ? SlotFlags.LOG_DIRTY_PAGES : 0;
        try {
            placed.forEach((piece, at) -> set(piece, at.slot, flags, at.gpa));
        } catch (RuntimeException refusal) {
            flags = before;
            placed.forEach((piece, at) -> set(piece, at.slot, flags, at.gpa));
            throw refusal;
        }
    }

    private static void attempt(
            Piece piece, Map<AttachedDevice, MdevException> failures, Runnable change) {
        try {
            change.run();
        } catch (MdevException e) {
            failures.putIfAbsent(piece.device, e);
        }
    }

    private void delete(Piece piece, Placed at) {
        slots.setUserMemoryRegion(UserMemoryRegion.deletionOf(at.slot));
        placed.remove(piece);
        used.clear(at.slot);
    }

    /// Moves a slot in one change, so that it keeps its dirty log. If another slot is still in the
    /// way, removes that one, to be created again.
    private void move(Piece piece, Placed at, long gpa) {
        Memslot slot = slots.slotOf(at.slot);
        if (slot == null || isInTheWay(piece, gpa)) {
            delete(piece, at);
            return;
        }
        try {
            set(piece, at.slot, slot.region().flags(), gpa);
            placed.put(piece, new Placed(at.slot, gpa));
        } catch (MdevException e) {
            // It must not stay where the guest does not expect it.
            delete(piece, at);
            throw e;
        }
    }

    private boolean isInTheWay(Piece moving, long gpa) {
        GfnRange target = moving.gfnsAt(gpa);
        return placed.entrySet().stream()
                .anyMatch(other ->
                        !other.getKey().equals(moving)
                                && other.getKey().gfnsAt(other.getValue().gpa).overlaps(target));
    }

    private void create(Piece piece, long gpa) {
        int slot = used.nextClearBit(firstSlot);
        set(piece, slot, flags, gpa);
        used.set(slot);
        placed.put(piece, new Placed(slot, gpa));
    }

    private void set(Piece piece, int slot, int flags, long gpa) {
        slots.setUserMemoryRegion(
                new UserMemoryRegion(slot, flags, gpa, piece.sizeBytes, piece.hva()));
    }
}
