package dev.mdev.core.device;

import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtySink;
import dev.mdev.core.memslot.Memslot;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/// Copies between a device and guest memory, by guest-physical addresses, page by page in ascending
/// order. What is written is recorded as dirty if its slot logs.
///
/// A page is looked up and copied in one read section of the slots, so a change of slots waits for
/// the copy. Where the page has to be faulted in first, the section is left meanwhile: the memory
/// may be another device's BAR, whose driver may take its time, and nobody who changes slots is to
/// wait for a driver.
final class DmaCopier {
    private static final long CHANGING_PARK_NANOS = 10_000;

    /// How often a page may be found changing: at least a second of a slot that stays INVALID.
    private static final int MAX_CHANGING = 100_000;

    /// How often a page may be revoked between its fault and the copy.
    private static final int MAX_FAULTS = 64;

    private final AddressSpaces slots;
    private final HostMm mm;

    DmaCopier(AddressSpaces slots, HostMm mm) {
        this.slots = slots;
        this.mm = mm;
    }

    /// How a copy ended.
    ///
    /// @param doneBytes what was copied
    /// @param reason why no more was; empty if all was
    record Copied(long doneBytes, String reason) {
        boolean isAll() {
            return reason.isEmpty();
        }
    }

    /// Copies `buffer.byteSize()` bytes from or to guest memory.
    ///
    /// @param allowed looked at in each page's read section; once it is false, and the slots
    ///   changed after that, no byte is copied any more
    Copied copy(long gpa, MemorySegment buffer, Access access, BooleanSupplier allowed) {
        long done = 0;
        while (done < buffer.byteSize()) {
            long at = gpa + done;
            if (Long.compareUnsigned(at, gpa) < 0) {
                return new Copied(done, "beyond the last address");
            }
            long length = Math.min(buffer.byteSize() - done, Page.SIZE - Page.offsetOf(at));
            String stop = copyInPage(at, buffer.asSlice(done, length), access, allowed);
            if (!stop.isEmpty()) {
                return new Copied(done, stop);
            }
            done += length;
        }
        return new Copied(done, "");
    }

    private String copyInPage(
            long gpa, MemorySegment part, Access access, BooleanSupplier allowed) {
        int changing = 0;
        int faults = 0;
        while (changing < MAX_CHANGING && faults < MAX_FAULTS) {
            switch (tryInPage(gpa, part, access, allowed)) {
                case Try.Done _ -> {
                    return "";
                }
                case Try.Refused refused -> {
                    return refused.reason();
                }
                case Try.Changing _ -> {
                    changing++;
                    LockSupport.parkNanos(this, CHANGING_PARK_NANOS);
                }
                case Try.Absent absent -> {
                    faults++;
                    String why = faultIn(absent.hva(), access);
                    if (!why.isEmpty()) {
                        return why;
                    }
                }
            }
        }
        return "memory that does not come to rest";
    }

    /// Makes the page at a host address accessible. Calls driver code if it is a device's.
    ///
    /// @return why it is not, or nothing
    String faultIn(long hva, Access access) {
        return switch (mm.handleFault(hva, access)) {
            case FaultResult.Mapped _ -> "";
            case FaultResult.Trapped _ -> "registers, not memory";
            case FaultResult.Failed failed -> failed.reason();
        };
    }

    /// One try at one page.
    private sealed interface Try {
        record Done() implements Try {}

        /// There is no memory, or not for this access.
        record Refused(String reason) implements Try {}

        /// The slot is being moved or deleted.
        record Changing() implements Try {}

        /// The page is to be faulted in first.
        record Absent(long hva) implements Try {}
    }

    private Try tryInPage(long gpa, MemorySegment part, Access access, BooleanSupplier allowed) {
        long gfn = Page.numberOf(gpa);
        int section = slots.srcu().readLock();
        try {
            if (!allowed.getAsBoolean()) {
                return new Try.Refused("not pinned any more");
            }
            Memslot slot = slots.find(gfn);
            if (slot == null) {
                return new Try.Refused("no memory");
            }
            if (slot.isInvalid()) {
                return new Try.Changing();
            }
            if (access == Access.WRITE && slot.isReadonly()) {
                return new Try.Refused("read-only memory");
            }
            long hva = slot.hvaOf(gfn) + Page.offsetOf(gpa);
            if (mm.withPage(
                            hva,
                            access,
                            false,
                            (memory, offset) -> move(memory, offset, part, access))
                    != null) {
                return new Try.Absent(hva);
            }
            if (access == Access.WRITE) {
                slots.markDirty(slot, gfn, DirtySink.NO_VCPU);
            }
            return new Try.Done();
        } finally {
            slots.srcu().readUnlock(section);
        }
    }

    private static void move(MemorySegment memory, long offset, MemorySegment part, Access access) {
        if (access == Access.READ) {
            MemorySegment.copy(memory, offset, part, 0, part.byteSize());
        } else {
            MemorySegment.copy(part, 0, memory, offset, part.byteSize());
        }
    }
}
