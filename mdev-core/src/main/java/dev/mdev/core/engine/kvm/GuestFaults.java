package dev.mdev.core.engine.kvm;

import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.engine.kvm.mm.MmapPageTable;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.VcpuMemslots;
import dev.mdev.core.sync.GuestHold;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;

/// The faults that a virtual processor's own thread answers, because `KVM_RUN` failed instead of
/// waiting. Belongs to that thread.
final class GuestFaults {
    private static final long NO_HVA = -1;

    private final VcpuMemslots slots;
    private final HostMm mm;
    private final MmapPageTable pageTable;

    private final GuestHold hold;

    GuestFaults(VcpuMemslots slots, HostMm mm, MmapPageTable pageTable, GuestHold hold) {
        this.hold = hold;
        this.slots = slots;
        this.mm = mm;
        this.pageTable = pageTable;
    }

    /// The maximum time that an access retries because its page is zapped each time.
    long patienceNanos() {
        return mm.fillTimeoutNanos();
    }

    /// What to do about an access that the kernel could not make.
    sealed interface Answer {
        /// There is no memory: the kernel emulates the access.
        record NoMemory() implements Answer {}

        /// Retry: the page should be mapped now.
        record Retry() implements Answer {}

        /// Retry until the state changes: the slot is being deleted or moved.
        record Changing() implements Answer {}

        /// The owner of the memory serves the access.
        record Trapped() implements Answer {}

        /// The access fails.
        record Failed(Refusal refusal) implements Answer {}

        static Answer of(FaultResult result) {
            return switch (result) {
                case FaultResult.Mapped _ -> new Retry();
                case FaultResult.Trapped _ -> new Trapped();
                case FaultResult.Failed failed -> new Failed(failed.refusal());
            };
        }
    }

    /// Asks the owner of the memory at `gpa`.
    Answer resolve(long gpa, Access access) {
        Memslot slot = find(gpa);
        if (slot == null) {
            // The processors may be held because slots change: then memory is not absent yet.
            hold.awaitReleased();
            slot = find(gpa);
        }
        if (slot == null || (slot.isReadonly() && access == Access.WRITE)) {
            return new Answer.NoMemory();
        }
        if (slot.isInvalid()) {
            // It is being deleted or moved: the memory is neither the old one nor absent.
            Thread.onSpinWait();
            return new Answer.Changing();
        }
        long hva = slot.hvaOf(Page.numberOf(gpa));
        FaultResult result = mm.handleFault(hva, access);
        if (result instanceof FaultResult.Mapped) {
            try {
                pageTable.restore(hva);
            } catch (MdevException e) {
                return new Answer.Failed(Refusal.of(e));
            }
        }
        // A slot that is being removed loses its host memory next. The guest must then find absent
        // memory, not failing memory.
        return result instanceof FaultResult.Failed && find(gpa) != slot
                ? new Answer.Retry()
                : Answer.of(result);
    }

    /// Copies between `bytes` and guest memory within one page, faulting it in as needed, through
    /// the host's own mapping; writes are logged in the slot's bitmap. For a part of an access that
    /// the kernel could not make.
    ///
    /// @return null on success, otherwise why the page is not accessible
    @Nullable Answer copy(long gpa, Access access, MemorySegment bytes) {
        long start = System.nanoTime();
        while (!copyResident(gpa, access, bytes)) {
            Answer answer = resolve(gpa, access);
            // The page may be revoked repeatedly between its fault and the copy.
            boolean again =
                    answer instanceof Answer.Changing
                            || (answer instanceof Answer.Retry
                                    && System.nanoTime() - start < patienceNanos());
            if (!again) {
                return answer;
            }
        }
        return null;
    }

    private boolean copyResident(long gpa, Access access, MemorySegment bytes) {
        AddressSpaces spaces = slots.spaces();
        int section = spaces.srcu().readLock();
        try {
            long gfn = Page.numberOf(gpa);
            Memslot slot = slots.find(gfn);
            if (slot == null
                    || slot.isInvalid()
                    || (slot.isReadonly() && access == Access.WRITE)
                    || copyInPage(slot.hvaOf(gfn) + Page.offsetOf(gpa), access, bytes) != null) {
                return false;
            }
            if (access == Access.WRITE) {
                spaces.markDirty(slot, gfn, slots.vcpuId());
            }
            return true;
        } finally {
            spaces.srcu().readUnlock(section);
        }
    }

    private @Nullable FaultResult copyInPage(long hva, Access access, MemorySegment bytes) {
        return access == Access.WRITE
                ? mm.writePage(hva, false, bytes)
                : mm.readPage(hva, false, bytes);
    }

    /// The host address of the page at `gpa`, or an invalid number.
    long pageHvaOf(long gpa) {
        Memslot slot = find(gpa);
        return slot == null ? NO_HVA : slot.hvaOf(Page.numberOf(gpa));
    }

    /// Makes a page usable again that was poisoned because another thread accessed it without
    /// success.
    boolean unpoison(long hva) {
        return pageTable.unpoison(hva);
    }

    /// Whether a slot has the address.
    boolean hasSlot(long gpa) {
        return find(gpa) != null;
    }

    private @Nullable Memslot find(long gpa) {
        AddressSpaces spaces = slots.spaces();
        int section = spaces.srcu().readLock();
        try {
            return slots.find(Page.numberOf(gpa));
        } finally {
            spaces.srcu().readUnlock(section);
        }
    }
}
