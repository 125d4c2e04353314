package dev.mdev.core.hostmm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.concurrent.locks.ReentrantLock;

/// The part of the host's physical memory that this process uses: blocks of pages, and the pfns by
/// which all other code names them. Guest RAM and the apertures of parent devices are such blocks.
///
/// Pfns are our own: they start high, blocks have gaps between them, and each pfn is used once in
/// the life of the process. So a driver that confuses an offset with a pfn, or runs over the end of
/// its aperture, hits no other block.
public final class HostMemory implements AutoCloseable {
    private static final long FIRST_PFN = 0x10_0000;
    private static final long GAP_PAGES = 0x1000;

    private final MemoryBackend backend;
    private final long limitBytes;
    private final boolean homed;
    private final ReentrantLock blocksLock = new ReentrantLock();

    /// Sorted by pfn; replaced under `blocksLock`, read without it.
    private volatile Block[] blocks = new Block[0];

    @GuardedBy("blocksLock")
    private long nextPfn = FIRST_PFN;

    /// Bytes of all blocks, including blocks that are being allocated or freed.
    @GuardedBy("blocksLock")
    private long usedBytes;

    /// Without a limit: as much as the backend gives.
    public HostMemory(MemoryBackend backend) {
        this(backend, Long.MAX_VALUE);
    }

    /// @param limitBytes the maximum bytes of all blocks together, at least 0. Allocated memory
    ///   counts, whether touched or not
    public HostMemory(MemoryBackend backend, long limitBytes) {
        this(backend, limitBytes, false);
    }

    /// The same, for memory whose pages may have a [PageHome]: each access of the host looks for
    /// it, which costs some 20 ns.
    public static HostMemory withHomes(MemoryBackend backend, long limitBytes) {
        return new HostMemory(backend, limitBytes, true);
    }

    private HostMemory(MemoryBackend backend, long limitBytes, boolean homed) {
        if (limitBytes < 0) {
            throw new MdevException(Errno.EINVAL, "limitBytes=" + limitBytes);
        }
        this.backend = backend;
        this.limitBytes = limitBytes;
        this.homed = homed;
    }

    /// Allocates a block of zeroes.
    ///
    /// @param name for messages
    /// @param npages at least 1
    /// @throws MdevException ENOMEM if the memory is not available, or the limit does not allow it
    public Block allocate(String name, long npages) {
        if (npages < 1) {
            throw new MdevException(Errno.EINVAL, "block=%s npages=%d".formatted(name, npages));
        }
        long sizeBytes = Page.bytesOf(npages);
        reserve(name, sizeBytes);
        Block block = null;
        try {
            block = add(name, npages, backend.allocate(name, sizeBytes), sizeBytes);
        } finally {
            if (block == null) {
                giveBack(sizeBytes);
            }
        }
        return block;
    }

    /// Adds memory that exists already, such as memory that another process shares with this one.
    /// The limit does not count it.
    ///
    /// @param name for messages
    /// @param npages the size of the backing
    public Block adopt(String name, long npages, MemoryBackend.Backing backing) {
        return add(name, npages, backing, 0);
    }

    private void reserve(String name, long sizeBytes) {
        blocksLock.lock();
        try {
            long freeBytes = limitBytes - usedBytes;
            if (sizeBytes > freeBytes) {
                throw new MdevException(
                        Errno.ENOMEM,
                        "block=%s sizeBytes=%d, of limitBytes=%d there are freeBytes=%d"
                                .formatted(name, sizeBytes, limitBytes, freeBytes));
            }
            usedBytes += sizeBytes;
        } finally {
            blocksLock.unlock();
        }
    }

    private void giveBack(long sizeBytes) {
        blocksLock.lock();
        try {
            usedBytes -= sizeBytes;
        } finally {
            blocksLock.unlock();
        }
    }

    private Block add(String name, long npages, MemoryBackend.Backing backing, long countedBytes) {
        blocksLock.lock();
        try {
            Block block =
                    new Block(
                            name,
                            new PfnRange(nextPfn, npages),
                            backing,
                            countedBytes,
                            // Memory of others is no device's.
                            homed && countedBytes > 0);
            nextPfn += npages + GAP_PAGES;
            Block[] copy = Arrays.copyOf(blocks, blocks.length + 1);
            copy[copy.length - 1] = block;
            blocks = copy;
            return block;
        } finally {
            blocksLock.unlock();
        }
    }

    /// Frees a block. Nothing may be mapped to it any more.
    public void free(Block block) {
        blocksLock.lock();
        try {
            Block[] rest =
                    Arrays.stream(blocks).filter(other -> other != block).toArray(Block[]::new);
            if (rest.length == blocks.length) {
                return;
            }
            blocks = rest;
        } finally {
            blocksLock.unlock();
        }
        block.backing.release();
        giveBack(block.countedBytes);
    }

    /// The block that holds page `pfn`.
    ///
    /// @throws MdevException EFAULT if no block holds it
    public Block blockOf(long pfn) {
        Block[] all = blocks;
        int low = 0;
        int high = all.length - 1;
        while (low <= high) {
            int middle = (low + high) >>> 1;
            Block block = all[middle];
            if (block.pfns.contains(pfn)) {
                return block;
            }
            if (pfn < block.pfns.firstPfn()) {
                high = middle - 1;
            } else {
                low = middle + 1;
            }
        }
        throw new MdevException(Errno.EFAULT, "no memory at pfn=0x%x".formatted(pfn));
    }

    @Override
    public void close() {
        for (Block block : blocks) {
            free(block);
        }
    }

    /// A run of pages with one backing.
    public static final class Block implements Aperture {
        private final String name;
        private final PfnRange pfns;
        private final MemoryBackend.Backing backing;
        private final long countedBytes;

        /// Null if no page can have a home.
        private final @Nullable HomedPages homed;

        Block(
                String name,
                PfnRange pfns,
                MemoryBackend.Backing backing,
                long countedBytes,
                boolean homed) {
            this.name = name;
            this.pfns = pfns;
            this.backing = backing;
            this.countedBytes = countedBytes;
            this.homed = homed ? new HomedPages(pfns, backing.segment()) : null;
        }

        public String name() {
            return name;
        }

        @Override
        public PfnRange pfns() {
            return pfns;
        }

        /// The host's own mapping of the whole block. It never faults into this process. The
        /// content of a page with a [PageHome] may be newer there.
        public MemorySegment segment() {
            return backing.segment();
        }

        /// The backing, for engines that map it by its file.
        public MemoryBackend.Backing backing() {
            return backing;
        }

        /// The pages that have a home.
        ///
        /// @throws MdevException EOPNOTSUPP unless the memory is [HostMemory#withHomes]
        public HomedPages homedPages() {
            if (homed == null) {
                throw new MdevException(
                        Errno.EOPNOTSUPP, "pages of this memory have no homes: block=" + this);
            }
            return homed;
        }

        @Override
        public void read(long offsetBytes, MemorySegment destination) {
            if (homed == null) {
                MemorySegment.copy(segment(), offsetBytes, destination, 0, destination.byteSize());
            } else {
                homed.read(offsetBytes, destination);
            }
        }

        @Override
        public void write(long offsetBytes, MemorySegment source) {
            if (homed == null) {
                MemorySegment.copy(source, 0, segment(), offsetBytes, source.byteSize());
            } else {
                homed.write(offsetBytes, source);
            }
        }

        @Override
        public void fill(long offsetBytes, long lengthBytes, byte value) {
            if (homed == null) {
                segment().asSlice(offsetBytes, lengthBytes).fill(value);
            } else {
                homed.fill(offsetBytes, lengthBytes, value);
            }
        }

        /// Runs a short action on the memory of one page, or on a copy of it for a read access.
        ///
        /// @return false if the page is on its way to or from its home: [#settle] waits for that
        boolean tryWithPage(long pfn, Access access, long offsetInPage, HostMm.PageAction action) {
            if (homed == null) {
                action.run(segment(), offsetOf(pfn) + offsetInPage);
                return true;
            }
            return access == Access.WRITE
                    ? homed.tryHolding(
                            pfn, () -> action.run(segment(), offsetOf(pfn) + offsetInPage))
                    : homed.tryReading(pfn, offsetInPage, action);
        }

        /// Waits until a page is not on its way.
        void settle(long pfn) {
            if (homed != null) {
                homed.settle(pfn);
            }
        }

        @Override
        public String toString() {
            return name + pfns;
        }
    }
}
