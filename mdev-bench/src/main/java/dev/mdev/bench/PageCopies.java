package dev.mdev.bench;

import dev.mdev.api.page.Page;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;

/// Plain copies of pages between random places: the least work of any way to move a page.
final class PageCopies implements AutoCloseable {
    private static final int PAGES = 1 << 14;
    private static final int COPIES = 4096;

    private final Arena arena = Arena.ofConfined();
    private final MemorySegment memory = arena.allocate(Page.bytesOf(PAGES), Page.SIZE);
    private final SplittableRandom random = new SplittableRandom(1);

    PageCopies() {
        // Gives every page memory.
        memory.fill((byte) 1);
    }

    double nanosPerPage() {
        long start = System.nanoTime();
        for (int i = 0; i < COPIES; i++) {
            MemorySegment.copy(
                    memory,
                    Page.addressOf(random.nextInt(PAGES)),
                    memory,
                    Page.addressOf(random.nextInt(PAGES)),
                    Page.SIZE);
        }
        return (double) (System.nanoTime() - start) / COPIES;
    }

    @Override
    public void close() {
        arena.close();
    }
}
