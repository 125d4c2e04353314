package dev.mdev.core.memslot;

import dev.mdev.core.guestmem.FakeHostMemory;
import dev.mdev.core.guestmem.HostMemoryAccess.Exchange;
import dev.mdev.core.memslot.ReferenceSlots.Slot;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.util.Objects;

/// Guest memory over [ReferenceSlots] and host memory of its own.
final class ReferenceMemory {
    private static final int PAGE_BYTES = 4096;

    final FakeHostMemory host = new FakeHostMemory();
    private final ReferenceSlots slots;

    ReferenceMemory(ReferenceSlots slots) {
        this.slots = slots;
    }

    /// Who accesses: an address space and whether it is a vCPU in SMM.
    record View(int asId, boolean inSmm) {
        static final View MACHINE = new View(0, false);
    }

    /// The kinds of copies.
    enum Kind {
        READ,
        READ_WITHOUT_FAULT,
        WRITE
    }

    /// Copies page by page; true if all was copied.
    boolean copy(View view, long gpa, byte[] bytes, Kind kind) {
        if (kind == Kind.READ_WITHOUT_FAULT
                && bytes.length > 0
                && gpa / PAGE_BYTES != (gpa + bytes.length - 1) / PAGE_BYTES) {
            return false;
        }
        int done = 0;
        while (done < bytes.length) {
            long at = gpa + done;
            int inPage = (int) (at % PAGE_BYTES);
            int count = Math.min(bytes.length - done, PAGE_BYTES - inPage);
            MemorySegment piece = MemorySegment.ofArray(bytes).asSlice(done, count);
            Slot slot = slotFor(view, at / PAGE_BYTES, kind == Kind.WRITE);
            if (slot == null || !copyInPage(slot, at, piece, kind)) {
                return false;
            }
            done += count;
        }
        return true;
    }

    Exchange compareExchange(View view, long gpa, int size, long expected, long replacement) {
        Slot slot = slotFor(view, gpa / PAGE_BYTES, true);
        if (slot == null) {
            return Exchange.FAULT;
        }
        Exchange result = host.compareExchange(hva(slot, gpa), size, expected, replacement);
        if (result != Exchange.FAULT) {
            mark(slot, gpa);
        }
        return result;
    }

    /// Whether every page of a range could be written, as far as slots go.
    boolean isWritable(View view, long gpa, long length) {
        for (long gfn = gpa / PAGE_BYTES; gfn <= (gpa + length - 1) / PAGE_BYTES; gfn++) {
            if (slotFor(view, gfn, true) == null) {
                return false;
            }
        }
        return true;
    }

    void markPageDirty(View view, long gfn) {
        Slot slot = slots.find(view.asId, gfn, view.inSmm);
        if (slot != null) {
            mark(slot, gfn * PAGE_BYTES);
        }
    }

    private boolean copyInPage(Slot slot, long gpa, MemorySegment piece, Kind kind) {
        long hva = hva(slot, gpa);
        return switch (kind) {
            case READ -> host.read(hva, piece);
            case READ_WITHOUT_FAULT -> host.readWithoutFault(hva, piece);
            case WRITE -> {
                boolean written = host.write(hva, piece);
                if (written) {
                    mark(slot, gpa);
                }
                yield written;
            }
        };
    }

    private @Nullable Slot slotFor(View view, long gfn, boolean write) {
        Slot slot = slots.find(view.asId, gfn, view.inSmm);
        return slot != null && write && slot.has(SlotFlags.READONLY) ? null : slot;
    }

    private static long hva(Slot slot, long gpa) {
        return slot.hva() + (gpa - slot.gfn() * PAGE_BYTES);
    }

    private static void mark(Slot slot, long gpa) {
        if (slot.dirty() != null) {
            Objects.requireNonNull(slot.dirty()).set((int) (gpa / PAGE_BYTES - slot.gfn()));
        }
    }
}
