package dev.mdev.core.memslot;

import dev.mdev.core.memslot.ReferenceMemory.View;

/// What a [GuestMemoryCache] promises.
final class ReferenceCache {
    long gpa;
    long length;
    private long generation = -1;
    private boolean good;

    void init(long generation, boolean writable, long gpa, long length) {
        this.generation = generation;
        good = writable;
        if (writable) {
            this.gpa = gpa;
            this.length = length;
        }
    }

    boolean isGood(long now, ReferenceMemory memory) {
        if (now != generation) {
            init(now, memory.isWritable(View.MACHINE, gpa, length), gpa, length);
        }
        return good;
    }
}
