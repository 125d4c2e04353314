package dev.mdev.vfiouser;

import dev.mdev.api.page.Access;
import dev.mdev.core.dma.DmaMemory;

import java.lang.foreign.MemorySegment;

/// The ways to a client's memory that is not mapped into this process.
interface ClientReach {
    /// What to copy.
    ///
    /// @param mapOffsetBytes where it begins in its map
    record Piece(long iova, long mapOffsetBytes, MemorySegment buffer, Access access) {}

    /// Runs one short action while the map stays.
    @FunctionalInterface
    interface Held {
        /// @return false if the map is gone; the action did not run
        boolean run(Runnable action);
    }

    /// Copies by calls on a file.
    DmaMemory.Copied file(DmaMap.Reach.File file, Piece piece, Held held);

    /// Copies by messages to the client.
    DmaMemory.Copied messages(Piece piece, Held held);
}
