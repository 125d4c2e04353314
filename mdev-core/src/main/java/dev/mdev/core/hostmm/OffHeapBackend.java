package dev.mdev.core.hostmm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/// Memory of the process outside the Java heap. Works everywhere, without privileges or native code
/// of our own; no other process or mapping can reach it.
public final class OffHeapBackend implements MemoryBackend {
    private static final MethodHandle CALLOC =
            function(
                    "calloc",
                    FunctionDescriptor.of(
                            ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG));

    private static final MethodHandle FREE =
            function("free", FunctionDescriptor.ofVoid(ValueLayout.ADDRESS));

    @SuppressWarnings("restricted") // of the C library, which every process has
    private static MethodHandle function(String name, FunctionDescriptor descriptor) {
        Linker linker = Linker.nativeLinker();
        return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), descriptor);
    }

    @Override
    public Backing allocate(String name, long sizeBytes) {
        Arena arena = Arena.ofShared();
        try {
            return new ArenaBacking(arena, zeroes(arena, sizeBytes));
        } catch (OutOfMemoryError e) {
            arena.close();
            throw new MdevException(
                    Errno.ENOMEM, "block=%s sizeBytes=%d".formatted(name, sizeBytes), e);
        }
    }

    /// Zeroes that take memory only where they are touched: `calloc` knows that fresh pages are
    /// zero, while [Arena#allocate] would write them all.
    @SuppressWarnings("restricted") // of as many bytes as calloc gave
    private static MemorySegment zeroes(Arena arena, long sizeBytes) {
        long room = Math.addExact(sizeBytes, Page.SIZE);
        MemorySegment start;
        try {
            start = (MemorySegment) CALLOC.invokeExact(1L, room);
        } catch (Throwable e) {
            throw new IllegalStateException("calloc", e);
        }
        if (start.address() == 0) {
            throw new OutOfMemoryError("calloc of " + room + " bytes");
        }
        long skip = -start.address() & (Page.SIZE - 1);
        return start.reinterpret(room, arena, OffHeapBackend::free).asSlice(skip, sizeBytes);
    }

    private static void free(MemorySegment start) {
        try {
            FREE.invokeExact(start);
        } catch (Throwable e) {
            throw new IllegalStateException("free", e);
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
