package dev.mdev.core.dma;

import dev.mdev.api.page.Access;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.sync.Cancellation;

import java.lang.foreign.MemorySegment;
import java.util.function.BooleanSupplier;

/// A guest's memory as a device reaches it, by guest-physical addresses.
///
/// All methods may be called by any thread.
public interface DmaMemory {
    /// How a copy ended.
    ///
    /// @param doneBytes the copied bytes
    /// @param reason why the copy stopped; empty if it is complete
    /// @param cancelled whether it stopped because the device must stand still
    record Copied(long doneBytes, String reason, boolean cancelled) {
        public Copied(long doneBytes, String reason) {
            this(doneBytes, reason, !reason.isEmpty() && Cancellation.isCancelled());
        }

        boolean isAll() {
            return reason.isEmpty();
        }
    }

    /// Copies `buffer.byteSize()` bytes from or to guest memory, in ascending order, and records
    /// the written pages as dirty if the memory logs dirty pages.
    ///
    /// @param allowed checked in each hold of the memory: no byte is copied after it became false,
    ///   and after the next change of the memory, or the next return of [#awaitHolds]
    Copied copy(long gpa, MemorySegment buffer, Access access, BooleanSupplier allowed);

    /// A fixed range, for copies that come again and again.
    ///
    /// @param lengthBytes at least 1
    default Range range(long gpa, long lengthBytes) {
        return (offsetBytes, buffer, access, allowed) ->
                copy(gpa + offsetBytes, buffer, access, allowed);
    }

    /// A fixed range of the memory; any thread may use it.
    @FunctionalInterface
    interface Range {
        /// Copies as [DmaMemory#copy].
        ///
        /// @param offsetBytes the first byte, counted from the start of the range
        Copied copy(long offsetBytes, MemorySegment buffer, Access access, BooleanSupplier allowed);
    }

    /// The host address of each page. Equal addresses mean equal memory.
    ///
    /// @throws dev.mdev.api.MdevException EFAULT for absent memory, or memory that is being
    ///   removed; EPERM for a write to read-only memory
    long[] resolve(GfnRange gfns, Access access);

    /// Makes the page at a host address accessible. Calls driver code if the page is a device's.
    ///
    /// @return the reason of a failure, or an empty text
    String faultIn(long hva, Access access);

    /// Records pages as written, by no particular vCPU. Skips pages without memory.
    void markDirty(GfnRange gfns);

    /// Runs `action` in a hold of the memory: a removal of memory waits for it. It must be short.
    void hold(Runnable action);

    /// Waits for all copies and holds that have begun. Must not be called in a hold.
    void awaitHolds();
}
