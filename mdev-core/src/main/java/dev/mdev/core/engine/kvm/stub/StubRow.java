package dev.mdev.core.engine.kvm.stub;

import dev.mdev.api.page.Access;

/// A row of accesses as [GuestStub] does it.
///
/// @param access the access
/// @param firstGpa the address of the first one
/// @param widthBytes 1, 2, 4 or 8
/// @param count at least 1; of loads at most [StubMemory#VALUES]
/// @param strideBytes from one to the next
/// @param value the first stored value
/// @param step from one stored value to the next
public record StubRow(
        Access access,
        long firstGpa,
        int widthBytes,
        long count,
        long strideBytes,
        long value,
        long step) {
    static final StubRow NONE = new StubRow(Access.READ, 0, 1, 0, 0, 0, 0);

    public long gpaAt(long index) {
        return firstGpa + index * strideBytes;
    }
}
