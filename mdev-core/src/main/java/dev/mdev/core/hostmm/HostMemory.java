package dev.mdev.core.hostmm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Caching;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
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

    /// The most bytes of one copy into guarded memory.
    private static final long FILL_BYTES = 64 << 10;

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

    /// Memory of a device, in pages.
    public record Part(long npages, MemoryBackend.Backing backing) {}

    /// Adds the memory of a device, whose parts get neighbouring pfns in their order. The limit
    /// does not count it.
    ///
    /// @param parts at least one
    /// @return their blocks, as an aperture joins them
    public List<Block> adoptAll(String name, List<Part> parts) {
        blocksLock.lock();
        try {
            List<Block> added = new ArrayList<>();
            for (Part part : parts) {
                added.add(addLocked(name, part.npages, part.backing, 0));
            }
            nextPfn += GAP_PAGES;
            return added;
        } finally {
            blocksLock.unlock();
        }
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
            Block block = addLocked(name, npages, backing, countedBytes);
            nextPfn += GAP_PAGES;
            return block;
        } finally {
            blocksLock.unlock();
        }
    }

    @GuardedBy("blocksLock")
    private Block addLocked(
            String name, long npages, MemoryBackend.Backing backing, long countedBytes) {
        // Memory of others is no device's.
        boolean isHomed = homed && countedBytes > 0;
        Block block =
                new Block(name, new PfnRange(nextPfn, npages), backing, countedBytes, isHomed);
        nextPfn += npages;
        Block[] copy = Arrays.copyOf(blocks, blocks.length + 1);
        copy[copy.length - 1] = block;
        blocks = copy;
        return block;
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

    /// Says that nobody writes to these pages while they are visible anywhere: any number of users
    /// outside this process may have copies.
    ///
    /// @throws MdevException EFAULT if no block holds some of them
    public void keepConstant(PfnRange range) {
        long pfn = range.firstPfn();
        while (pfn < range.endPfn()) {
            Block block = blockOf(pfn);
            long end = Math.min(range.endPfn(), block.pfns.endPfn());
            if (block.homed != null) {
                block.homed.keepConstant(new PfnRange(pfn, end - pfn));
            }
            pfn = end;
        }
    }

    /// The memory type that mappings of pages have; nothing if the pages differ.
    ///
    /// @throws MdevException EFAULT if no block holds some of them
    public Optional<Caching> cachingOf(PfnRange range) {
        Block block = blockOf(range.firstPfn());
        Caching first = block.backing.caching();
        while (block.pfns.endPfn() < range.endPfn()) {
            block = blockOf(block.pfns.endPfn());
            if (block.backing.caching() != first) {
                return Optional.empty();
            }
        }
        return Optional.of(first);
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
        private final @Nullable GuardedMemory guarded;

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
            this.guarded = backing.guarded();
            this.homed = homed ? new HomedPages(pfns, backing) : null;
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
        ///
        /// @throws MdevException EOPNOTSUPP if the block [#isGuarded]
        public MemorySegment segment() {
            return backing.segment();
        }

        @Override
        public Optional<Caching> cachingOf(PfnRange range) {
            return Optional.of(backing.caching());
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

        /// Whether the memory may vanish, so that only copies of this object reach it.
        public boolean isGuarded() {
            return guarded != null;
        }

        @Override
        public void read(long offsetBytes, MemorySegment destination) {
            if (guarded != null) {
                guarded.read(offsetBytes, destination);
            } else if (homed != null) {
                homed.read(offsetBytes, destination);
            } else {
                backing.read(offsetBytes, destination);
            }
        }

        @Override
        public void write(long offsetBytes, MemorySegment source) {
            if (guarded != null) {
                guarded.write(offsetBytes, source);
            } else if (homed != null) {
                homed.write(offsetBytes, source);
            } else {
                MemorySegment.copy(source, 0, segment(), offsetBytes, source.byteSize());
            }
        }

        @Override
        public void fill(long offsetBytes, long lengthBytes, byte value) {
            if (isGuarded()) {
                fillGuarded(offsetBytes, lengthBytes, value);
            } else if (homed != null) {
                homed.fill(offsetBytes, lengthBytes, value);
            } else {
                segment().asSlice(offsetBytes, lengthBytes).fill(value);
            }
        }

        /// Sets pages to zero, and checks that they are, as [MemoryBackend.Backing#clear]: their
        /// memory goes back to the kernel if possible. No guest maps them.
        ///
        /// @return whether they read as zero now
        public boolean clear(long offsetBytes, long lengthBytes) {
            Objects.checkFromIndexSize(offsetBytes, lengthBytes, Page.bytesOf(pfns.npages()));
            return homed == null
                    ? backing.clear(offsetBytes, lengthBytes)
                    : homed.clear(offsetBytes, lengthBytes);
        }

        private void fillGuarded(long offsetBytes, long lengthBytes, byte value) {
            byte[] bytes = new byte[(int) Math.min(lengthBytes, FILL_BYTES)];
            Arrays.fill(bytes, value);
            MemorySegment content = MemorySegment.ofArray(bytes);
            for (long done = 0; done < lengthBytes; done += bytes.length) {
                long length = Math.min(bytes.length, lengthBytes - done);
                write(offsetBytes + done, content.asSlice(0, length));
            }
        }

        /// Copies from one page.
        ///
        /// @return false if the page is on its way to or from its home: [#settle] waits for that
        /// @throws MdevException EIO if the memory is gone
        boolean tryRead(long pfn, long offsetInPage, MemorySegment destination) {
            if (guarded != null) {
                guarded.read(offsetOf(pfn) + offsetInPage, destination);
                return true;
            }
            return tryWithPage(
                    pfn,
                    Access.READ,
                    offsetInPage,
                    (memory, offset) ->
                            MemorySegment.copy(
                                    memory, offset, destination, 0, destination.byteSize()));
        }

        /// Copies to one page; otherwise as [#tryRead].
        boolean tryWrite(long pfn, long offsetInPage, MemorySegment source) {
            if (guarded != null) {
                guarded.write(offsetOf(pfn) + offsetInPage, source);
                return true;
            }
            return tryWithPage(
                    pfn,
                    Access.WRITE,
                    offsetInPage,
                    (memory, offset) ->
                            MemorySegment.copy(source, 0, memory, offset, source.byteSize()));
        }

        /// Runs a short action on the memory of one page, or on a copy of it for a read access.
        ///
        /// @return false if the page is on its way to or from its home: [#settle] waits for that
        /// @throws MdevException EOPNOTSUPP if the block [#isGuarded]
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
