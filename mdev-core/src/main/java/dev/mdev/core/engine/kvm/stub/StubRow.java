package dev.mdev.core.engine.kvm.stub;

import dev.mdev.api.page.Access;

/// A row of accesses as [GuestStub] does it.
///
/// @param access what
/// @param firstGpa where the first one goes
/// @param widthBytes 1, 2, 4 or 8
/// @param count at least 1; of loads at most [StubMemory#VALUES]
/// @param strideBytes from one to the next
/// @param value what the first store stores
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
