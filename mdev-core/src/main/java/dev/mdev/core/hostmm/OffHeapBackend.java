package dev.mdev.core.hostmm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Memory of the process outside the Java heap. Works everywhere, without privileges or native code
/// of our own; no other process or mapping can reach it.
public final class OffHeapBackend implements MemoryBackend {
    @Override
    public Backing allocate(String name, long sizeBytes) {
        Arena arena = Arena.ofShared();
        try {
            return new ArenaBacking(arena, arena.allocate(sizeBytes, Page.SIZE));
        } catch (OutOfMemoryError e) {
            arena.close();
            throw new MdevException(
                    Errno.ENOMEM, "block=%s sizeBytes=%d".formatted(name, sizeBytes), e);
        }
    }

    private record ArenaBacking(Arena arena, MemorySegment segment) implements Backing {
        @Override
        public int fd() {
            return -1;
        }

        @Override
        public long fileOffsetBytes() {
            return 0;
        }

        @Override
        public void release() {
            arena.close();
        }
    }
}
