package dev.mdev.core.mmu;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.memslot.DirtyProtector;
import dev.mdev.core.memslot.Memslot;

/// Takes the right to write from pages whose marks were collected, many pages for one flush.
///
/// Its methods are called with the slots lock held, so one caller at a time.
final class MmuDirtyProtector implements DirtyProtector {
    private final Stage2Roots roots;

    /// Changes since the last flush.
    @GuardedBy("roots.lock")
    private int unflushed;

    MmuDirtyProtector(Stage2Roots roots) {
        this.roots = roots;
    }

    @Override
    public void protect(Memslot slot, long baseIndex, long bits) {
        roots.lock.lock();
        try {
            long rest = bits;
            while (rest != 0) {
                int first = Long.numberOfTrailingZeros(rest);
                int run = Long.numberOfTrailingZeros(~(rest >>> first));
                GfnRange frames = new GfnRange(slot.baseGfn() + baseIndex + first, run);
                if (roots.changeLocked(slot, frames, Stage2Table.Change.WRITE_PROTECT)) {
                    roots.flushOwedLocked();
                    unflushed++;
                }
                rest &= first + run == Long.SIZE ? 0 : -1L << (first + run);
            }
        } finally {
            roots.lock.unlock();
        }
    }

    @Override
    public void flush() {
        int owed;
        roots.lock.lock();
        try {
            owed = unflushed;
            unflushed = 0;
        } finally {
            roots.lock.unlock();
        }
        roots.flushOwed(owed);
    }
}
