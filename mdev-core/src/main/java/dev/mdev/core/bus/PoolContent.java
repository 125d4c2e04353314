package dev.mdev.core.bus;

import dev.mdev.api.Aperture;
import dev.mdev.api.MdevType;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.elastic.DeviceMemory;
import dev.mdev.core.hostmm.MemoryBackend;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/// The content of a device's pages of one pool, wherever it is.
sealed interface PoolContent {
    /// The contents of a device, in the order of its type's demands.
    static List<PoolContent> of(Mdev mdev) {
        List<PoolContent> contents = new ArrayList<>();
        Iterator<PoolShare> fixed = mdev.share().iterator();
        Iterator<DeviceMemory> elastic = mdev.elastic().iterator();
        for (MdevType.Demand demand : mdev.type().demands()) {
            contents.add(
                    demand.isElastic() && elastic.hasNext()
                            ? new Elastic(elastic.next())
                            : new Fixed(mdev.parent().aperture(), fixed.next()));
        }
        return contents;
    }

    String pool();

    /// Pages that can have content.
    long npages();

    /// How many pages from `page` on can be copied at once, at most `most`.
    long run(long page, long most);

    void read(long page, MemorySegment destination);

    void write(long page, MemorySegment source);

    void clear(long page, long npages);

    /// A share that is in the aperture.
    record Fixed(Aperture aperture, PoolShare share) implements PoolContent {
        private static final int CHUNK_PAGES = 64;

        @Override
        public String pool() {
            return share.pool();
        }

        @Override
        public long npages() {
            return share.npages();
        }

        @Override
        public long run(long page, long most) {
            return Math.min(most, share.extentFrom(page).npages());
        }

        private long offsetOf(long page) {
            PfnRange run = share.extentFrom(page);
            return Page.addressOf(run.firstPfn() - aperture.pfns().firstPfn());
        }

        @Override
        public void read(long page, MemorySegment destination) {
            aperture.read(offsetOf(page), destination);
        }

        @Override
        public void write(long page, MemorySegment source) {
            aperture.write(offsetOf(page), source);
        }

        @Override
        public void clear(long page, long npages) {
            byte[] buffer = new byte[(int) Page.bytesOf(Math.min(npages, CHUNK_PAGES))];
            for (long done = 0; done < npages; done += CHUNK_PAGES) {
                long offset = offsetOf(page + done);
                long length = Page.bytesOf(Math.min(npages - done, CHUNK_PAGES));
                MemorySegment content = MemorySegment.ofArray(buffer).asSlice(0, length);
                aperture.read(offset, content);
                // A write would give memory to pages that have none.
                if (!MemoryBackend.isZero(content)) {
                    aperture.fill(offset, length, (byte) 0);
                }
            }
        }
    }

    /// An elastic share.
    record Elastic(DeviceMemory memory) implements PoolContent {
        @Override
        public String pool() {
            return memory.pool();
        }

        @Override
        public long npages() {
            return memory.npages();
        }

        @Override
        public long run(long page, long most) {
            return Math.min(most, memory.npages() - page);
        }

        @Override
        public void read(long page, MemorySegment destination) {
            memory.peek(Page.addressOf(page), destination);
        }

        @Override
        public void write(long page, MemorySegment source) {
            memory.write(Page.addressOf(page), source);
        }

        @Override
        public void clear(long page, long npages) {
            memory.discard(page, npages);
        }
    }
}
