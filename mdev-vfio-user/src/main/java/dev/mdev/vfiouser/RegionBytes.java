package dev.mdev.vfiouser;

import java.lang.foreign.MemorySegment;

/// Which bytes of a region a message reads or writes, and where they are in memory. One object for
/// all messages of a session, so that a message costs none.
final class RegionBytes {
    private long region;
    private long offsetBytes;
    private int lengthBytes;
    private MemorySegment memory = MemorySegment.NULL;
    private long atBytes;

    /// Starts over.
    ///
    /// @param at of the first byte in `inMemory`
    /// @return this
    RegionBytes of(long ofRegion, long offset, int length, MemorySegment inMemory, long at) {
        region = ofRegion;
        offsetBytes = offset;
        lengthBytes = length;
        memory = inMemory;
        atBytes = at;
        return this;
    }

    long region() {
        return region;
    }

    long offsetBytes() {
        return offsetBytes;
    }

    int lengthBytes() {
        return lengthBytes;
    }

    MemorySegment memory() {
        return memory;
    }

    long atBytes() {
        return atBytes;
    }
}
