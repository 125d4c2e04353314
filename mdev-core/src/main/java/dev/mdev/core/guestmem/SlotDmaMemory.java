package dev.mdev.core.guestmem;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.dma.DmaMemory;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtySink;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.sync.Cancellation;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/// Copies between a device and guest memory, by guest-physical addresses, in ascending order.
/// Written pages are recorded as dirty if their slots log.
///
/// Mapped pages are copied in a read section of the slots, and a change of slots waits for that
/// section. To fault a page in, the copy leaves the section: the memory may be a device's BAR with
/// a slow driver, and a change of slots must not wait for a driver.
public final class SlotDmaMemory implements DmaMemory {
    /// The maximum number of bytes copied in one read section.
    private static final long CHUNK_BYTES = 1 << 20;

    private static final long CHANGING_PARK_NANOS = 10_000;

    /// How often a slot may be found changing: at least a second for a slot that stays INVALID.
    private static final int MAX_CHANGING = 100_000;

    /// How often a page may be revoked between its fault and the copy.
    private static final int MAX_FAULTS = 64;

    private static final long NONE_ABSENT = -1;

    private final AddressSpaces slots;
    private final HostMm mm;
    private final GuestMemoryAccess guest;

    public SlotDmaMemory(AddressSpaces slots, HostMm mm) {
        this.slots = slots;
        this.mm = mm;
        this.guest = new GuestMemoryAccess(slots, MmHostMemory.withoutFaults(mm));
    }

    @Override
    public Copied copy(long gpa, MemorySegment buffer, Access access, BooleanSupplier allowed) {
        long done = 0;
        int changing = 0;
        int faults = 0;
        while (done < buffer.byteSize()) {
            long length = Math.min(buffer.byteSize() - done, CHUNK_BYTES);
            Step step = copyChunk(gpa + done, buffer.asSlice(done, length), access, allowed);
            if (step.doneBytes != 0) {
                done += step.doneBytes;
                changing = 0;
                faults = 0;
            }
            if (!step.reason.isEmpty()) {
                return new Copied(done, step.reason);
            }
            boolean waits = step.changing || step.absentHva != NONE_ABSENT;
            if (waits && Cancellation.isCancelled()) {
                return new Copied(done, "the step is to end");
            }
            if (step.changing) {
                LockSupport.parkNanos(this, CHANGING_PARK_NANOS);
                changing++;
            } else if (step.absentHva != NONE_ABSENT) {
                String why = faultIn(step.absentHva, access);
                if (!why.isEmpty()) {
                    return new Copied(done, why);
                }
                faults++;
            }
            if (changing > MAX_CHANGING || faults > MAX_FAULTS) {
                return new Copied(done, "the memory keeps changing");
            }
        }
        return new Copied(done, "");
    }

    @Override
    public Range range(long gpa, long lengthBytes) {
        return new CachedRange(this, slots, MmHostMemory.withoutFaults(mm), gpa, lengthBytes);
    }

    @Override
    public long[] resolve(GfnRange gfns, Access access) {
        long[] hvas = new long[Math.toIntExact(gfns.npages())];
        int section = slots.srcu().readLock();
        try {
            for (long gfn = gfns.firstGfn(); gfn < gfns.endGfn(); gfn++) {
                Memslot slot = slots.find(gfn);
                if (slot == null || slot.isInvalid()) {
                    throw new MdevException(
                            Errno.EFAULT, "no memory: gpa=0x%x".formatted(Page.addressOf(gfn)));
                }
                if (access == Access.WRITE && slot.isReadonly()) {
                    throw new MdevException(
                            Errno.EPERM,
                            "read-only memory: gpa=0x%x".formatted(Page.addressOf(gfn)));
                }
                hvas[(int) (gfn - gfns.firstGfn())] = slot.hvaOf(gfn);
            }
            return hvas;
        } finally {
            slots.srcu().readUnlock(section);
        }
    }

    @Override
    public void markDirty(GfnRange gfns) {
        int section = slots.srcu().readLock();
        try {
            for (long gfn = gfns.firstGfn(); gfn < gfns.endGfn(); gfn++) {
                Memslot slot = slots.find(gfn);
                if (slot != null) {
                    slots.markDirty(slot, gfn, DirtySink.NO_VCPU);
                }
            }
        } finally {
            slots.srcu().readUnlock(section);
        }
    }

    @Override
    public void hold(Runnable action) {
        int section = slots.srcu().readLock();
        try {
            action.run();
        } finally {
            slots.srcu().readUnlock(section);
        }
    }

    @Override
    public void awaitHolds() {
        slots.srcu().synchronize();
    }

    @Override
    public String faultIn(long hva, Access access) {
        return switch (mm.handleFault(hva, access)) {
            case FaultResult.Mapped _ -> "";
            case FaultResult.Trapped _ -> "registers, not memory";
            case FaultResult.Failed failed -> failed.refusal().reason();
        };
    }

    /// The outcome of a chunk.
    ///
    /// @param doneBytes the copied bytes
    /// @param reason why the copy must stop; empty to continue
    /// @param changing whether the next page's slot is being moved or deleted
    /// @param absentHva the host address of the next page if it must be faulted in; otherwise
    ///   [#NONE_ABSENT]
    private record Step(long doneBytes, String reason, boolean changing, long absentHva) {
        static Step refused(long doneBytes, String reason) {
            return new Step(doneBytes, reason, false, NONE_ABSENT);
        }
    }

    private Step copyChunk(long gpa, MemorySegment part, Access access, BooleanSupplier allowed) {
        int section = slots.srcu().readLock();
        try {
            if (!allowed.getAsBoolean()) {
                return Step.refused(0, "taken away");
            }
            AccessOutcome outcome =
                    access == Access.READ ? guest.read(gpa, part) : guest.write(gpa, part);
            return switch (outcome) {
                case AccessOutcome.Ok _ -> new Step(part.byteSize(), "", false, NONE_ABSENT);
                case AccessOutcome.Fault fault -> stopAt(fault.gpa(), fault.gpa() - gpa, access);
            };
        } finally {
            slots.srcu().readUnlock(section);
        }
    }

    /// Finds out why a copy stopped at a page. In a read section other than the copy's: the page
    /// may have changed, and the next try will find that.
    private Step stopAt(long gpa, long doneBytes, Access access) {
        long gfn = Page.numberOf(gpa);
        Memslot slot = doneBytes != 0 && gpa == 0 ? null : slots.find(gfn);
        if (slot == null) {
            return Step.refused(doneBytes, "no memory");
        }
        if (slot.isInvalid()) {
            return new Step(doneBytes, "", true, NONE_ABSENT);
        }
        if (access == Access.WRITE && slot.isReadonly()) {
            return Step.refused(doneBytes, "read-only memory");
        }
        return new Step(doneBytes, "", false, slot.hvaOf(gfn));
    }
}
