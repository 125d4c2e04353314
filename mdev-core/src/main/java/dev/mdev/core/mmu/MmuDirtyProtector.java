package dev.mdev.core.mmu;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.core.dirty.DirtyProtector;
import dev.mdev.core.memslot.Memslot;

/// Takes write permission from pages whose marks were collected, many pages for one flush.
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
            protectLocked(slot, slot.baseGfn() + baseIndex, bits);
        } finally {
            roots.lock.unlock();
        }
    }

    @Override
    public void protectWords(Memslot slot, long baseIndex, long[] words, int count) {
        roots.lock.lock();
        try {
            for (int i = 0; i < count; i++) {
                if (words[i] != 0) {
                    long firstGfn = slot.baseGfn() + baseIndex + (long) i * Long.SIZE;
                    protectLocked(slot, firstGfn, words[i]);
                }
            }
        } finally {
            roots.lock.unlock();
        }
    }

    @GuardedBy("roots.lock")
    private void protectLocked(Memslot slot, long firstGfn, long bits) {
        if (roots.writeProtectLocked(slot, firstGfn, bits)) {
            roots.flushOwedLocked();
            unflushed++;
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
