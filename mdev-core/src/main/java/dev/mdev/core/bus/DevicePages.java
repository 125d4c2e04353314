package dev.mdev.core.bus;

import dev.mdev.api.Aperture;
import dev.mdev.api.MdevException;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.devicestate.StateFormat;
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

    private final Aperture aperture;
    private final List<PoolShare> shares;
    private int pool;
    private long page;

    DevicePages(Mdev mdev) {
        aperture = mdev.parent().aperture();
        shares = mdev.share();
    }

    void write(StateSection.Pages pages) {
        clearUpTo(pages.pool(), pages.firstPage());
        byte[] content = pages.content();
        long count = Page.numberOf(content.length);
        long done = 0;
        while (done < count) {
            PfnRange run = shares.get(pool).extentFrom(page);
            long now = Math.min(count - done, run.npages());
            aperture.write(
                    offsetOf(aperture, run),
                    MemorySegment.ofArray(content).asSlice(Page.bytesOf(done), Page.bytesOf(now)));
            done += now;
            page += now;
        }
    }

    void finish() {
        clearUpTo(shares.size(), 0);
    }

    private void clearUpTo(int endPool, long endPage) {
        while (pool < endPool) {
            clear(shares.get(pool).npages());
            pool++;
            page = 0;
        }
        clear(endPage);
    }

    private void clear(long endPage) {
        while (page < endPage) {
            PfnRange run = shares.get(pool).extentFrom(page);
            long now = Math.min(endPage - page, run.npages());
            aperture.fill(offsetOf(aperture, run), Page.bytesOf(now), (byte) 0);
            page += now;
        }
    }

    /// Writes the nonzero pages of one pool.
    ///
    /// @throws MdevException ENODEV if the device ends in the meantime
    static void save(Mdev mdev, int pool, StateWriter writer) throws IOException {
        Aperture aperture = mdev.parent().aperture();
        PoolShare share = mdev.share().get(pool);
        byte[] buffer = new byte[CHUNK_PAGES * Page.SIZE];
        long npages = share.npages();
        long page = 0;
        while (page < npages) {
            mdev.driver().requireAlive();
            PfnRange run = share.extentFrom(page);
            int count = (int) Math.min(CHUNK_PAGES, run.npages());
            aperture.read(
                    offsetOf(aperture, run),
                    MemorySegment.ofArray(buffer).asSlice(0, Page.bytesOf(count)));
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

    private static long offsetOf(Aperture aperture, PfnRange pfns) {
        return Page.addressOf(pfns.firstPfn() - aperture.pfns().firstPfn());
    }
}
