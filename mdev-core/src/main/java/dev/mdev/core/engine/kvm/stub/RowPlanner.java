package dev.mdev.core.engine.kvm.stub;

import dev.mdev.core.engine.GuestAccess;

/// Splits a processor's accesses into rows that the guest's program takes at once, and makes their
/// addresses visible to the program.
public final class RowPlanner {
    private static final int GIB_SHIFT = 30;

    /// The maximum reach of one row; the stub has room for page tables of several hundred.
    private static final long MAX_GIBS = 32;

    private final StubVcpu stub;
    private final long limitGpa;

    public RowPlanner(StubVcpu stub, long limitGpa) {
        this.stub = stub;
        this.limitGpa = limitGpa;
    }

    public long limitGpa() {
        return limitGpa;
    }

    /// Whether the program can make the access at all.
    public boolean isReachable(long gpa, int widthBytes) {
        return gpa <= limitGpa - widthBytes;
    }

    /// The row that begins with access `first`, which is reachable.
    public StubRow rowAt(GuestAccess access, long first) {
        GuestAccess.Span span = access.span();
        long gpa = span.gpaAt(first);
        long count = Math.min(span.count() - first, mostFrom(gpa, span));
        StubRow row =
                switch (access) {
                    case GuestAccess.Load load ->
                            new StubRow(
                                    load.access(),
                                    gpa,
                                    span.widthBytes(),
                                    Math.min(count, StubMemory.VALUES),
                                    span.strideBytes(),
                                    0,
                                    0);
                    case GuestAccess.Store store ->
                            new StubRow(
                                    store.access(),
                                    gpa,
                                    span.widthBytes(),
                                    count,
                                    span.strideBytes(),
                                    store.valueAt(first),
                                    store.step());
                };
        makeVisible(row);
        return row;
    }

    /// How many accesses from one on stay in reach and within [#MAX_GIBS].
    private long mostFrom(long gpa, GuestAccess.Span span) {
        long stride = span.strideBytes();
        if (stride == 0) {
            return Long.MAX_VALUE;
        }
        // Two less: the row may begin, and its last access may end, in the middle of a GiB.
        long room = (MAX_GIBS - 2) << GIB_SHIFT;
        long reach = stride > 0 ? limitGpa - span.widthBytes() - gpa : gpa;
        return Long.divideUnsigned(Math.min(room, reach), Math.abs(stride)) + 1;
    }

    /// Makes all addresses of a row visible.
    public void makeVisible(StubRow row) {
        long last = row.gpaAt(row.count() - 1);
        long low = Math.min(row.firstGpa(), last) >>> GIB_SHIFT;
        long high = (Math.max(row.firstGpa(), last) + row.widthBytes() - 1) >>> GIB_SHIFT;
        boolean all = false;
        while (!all) {
            all = true;
            for (long gib = low; gib <= high; gib++) {
                all &= stub.makeVisible(gib << GIB_SHIFT);
            }
        }
    }
}
