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

    /// Copies `buffer.byteSize()` bytes from or to guest memory, in ascending order. What is
    /// written is recorded as dirty if dirty pages are logged.
    ///
    /// @param allowed looked at under each hold of the memory: once it is false, and the memory
    ///   changed after that or [#awaitHolds] returned, no byte is copied any more
    Copied copy(long gpa, MemorySegment buffer, Access access, BooleanSupplier allowed);

    /// The host address of each page: as long as these are the same, so is the memory.
    ///
    /// @throws dev.mdev.api.MdevException EFAULT where there is no memory, or it is just going;
    ///   EPERM to write where it is read-only
    long[] resolve(GfnRange gfns, Access access);

    /// Makes the page at a host address accessible. Calls driver code if it is a device's.
    ///
    /// @return why it is not, or nothing
    String faultIn(long hva, Access access);

    /// Records pages as written by nobody in particular. Those that are no memory are left out.
    void markDirty(GfnRange gfns);

    /// Runs `action` while whoever takes memory away waits. It must be short.
    void hold(Runnable action);

    /// Waits for every copy and every hold that began before. Must not be called in a hold.
    void awaitHolds();
}
