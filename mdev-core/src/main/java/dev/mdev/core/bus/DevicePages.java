package dev.mdev.core.bus;

import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.devicestate.StateFormat;
import dev.mdev.core.devicestate.StateHeader;
import dev.mdev.core.devicestate.StateSection;
import dev.mdev.core.devicestate.StateWriter;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;

/// The content of a device's pages, saved, or set once from the first page to the last: missing
/// pages become zero.
final class DevicePages {
    private static final int CHUNK_PAGES = StateFormat.MAX_PAGES;
    private static final byte[] ZERO_PAGE = new byte[Page.SIZE];

    private final List<PoolContent> pools;
    private int pool;
    private long page;

    DevicePages(Mdev mdev) {
        pools = PoolContent.of(mdev);
    }

    /// The pools of a device's pages.
    static List<StateHeader.Pool> poolsOf(Mdev mdev) {
        return PoolContent.of(mdev).stream()
                .map(pool -> new StateHeader.Pool(pool.pool(), pool.npages()))
                .toList();
    }

    void write(StateSection.Pages pages) {
        clearUpTo(pages.pool(), pages.firstPage());
        byte[] content = pages.content();
        long count = Page.numberOf(content.length);
        long done = 0;
        while (done < count) {
            long now = pools.get(pool).run(page, count - done);
            pools.get(pool)
                    .write(
                            page,
                            MemorySegment.ofArray(content)
                                    .asSlice(Page.bytesOf(done), Page.bytesOf(now)));
            done += now;
            page += now;
        }
    }

    void finish() {
        clearUpTo(pools.size(), 0);
    }

    private void clearUpTo(int endPool, long endPage) {
        while (pool < endPool) {
            clear(pools.get(pool).npages());
            pool++;
            page = 0;
        }
        clear(endPage);
    }

    private void clear(long endPage) {
        while (page < endPage) {
            long now = pools.get(pool).run(page, endPage - page);
            pools.get(pool).clear(page, now);
            page += now;
        }
    }

    /// Writes the nonzero pages of one pool.
    ///
    /// @throws MdevException ENODEV if the device ends in the meantime
    static void save(Mdev mdev, int pool, StateWriter writer) throws IOException {
        PoolContent content = PoolContent.of(mdev).get(pool);
        byte[] buffer = new byte[CHUNK_PAGES * Page.SIZE];
        long page = 0;
        while (page < content.npages()) {
            mdev.driver().requireAlive();
            int count = (int) content.run(page, CHUNK_PAGES);
            content.read(page, MemorySegment.ofArray(buffer).asSlice(0, Page.bytesOf(count)));
            int first = 0;
            while (first < count) {
                int end = first;
                while (end < count && !isZero(buffer, end)) {
                    end++;
                }
                if (first < end) {
                    int length = (end - first) * Page.SIZE;
                    writer.pages(pool, page + first, buffer, first * Page.SIZE, length);
                }
                first = end + 1;
            }
            page += count;
        }
    }

    private static boolean isZero(byte[] buffer, int page) {
        int offset = page * Page.SIZE;
        return Arrays.mismatch(buffer, offset, offset + Page.SIZE, ZERO_PAGE, 0, Page.SIZE) < 0;
    }
}
