package dev.mdev.core.engine.barfile;

import java.lang.foreign.MemorySegment;

/// The kernel's page cache of one file. Its methods wait for readers of [FuseConnection], which
/// therefore must not call them.
interface PageCache {
    /// Brings what clients wrote, in few large requests. Clients keep the pages.
    void writeBack(long firstPage, long npages);

    /// Takes pages from the cache, and so from clients: what they wrote has arrived.
    ///
    /// @throws dev.mdev.api.MdevException EIO if the kernel does not
    void drop(long firstPage, long npages);

    /// Reads bytes as clients see them.
    ///
    /// @return whether it read them all
    boolean read(long offsetBytes, MemorySegment destination);

    /// Whether the kernel has ended the file system: no client reaches granted memory any more.
    boolean isDead();
}
