package dev.mdev.core.elastic;

import dev.mdev.api.Errno;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.BiPredicate;

/// A pool in memory with devices whose guests store through mappings. It checks that frames have
/// one owner, and are clean when they change it.
final class ElasticWorld implements FrameBank, ElasticNews {
    static final String POOL = "vram";
    static final int REGION = 0;
    private static final long FIRST_PFN = 0x1000;

    final int unitPages;
    final ElasticPool pool;
    final ConcurrentLinkedQueue<String> news = new ConcurrentLinkedQueue<>();

    /// Writes to the store that fail from now on.
    final AtomicInteger failingWrites = new AtomicInteger();

    /// Run before a frame is scrubbed.
    volatile Runnable beforeScrub = () -> {};

    /// Run before a frame is written to or read.
    volatile Runnable beforeCopy = () -> {};

    /// Run before free frames are given to a device.
    volatile Runnable beforeBorrow = () -> {};

    /// Run before a page is written to the store.
    volatile Runnable beforeStore = () -> {};

    /// Frames that nobody gets any more.
    final Set<Long> quarantined = ConcurrentHashMap.newKeySet();

    /// Slots of the store that were ever written to: as much as a file has grown.
    final Set<String> usedSlots = ConcurrentHashMap.newKeySet();

    private final byte[][] pages;
    private final Map<Long, UUID> owners = new HashMap<>();
    private final TreeSet<Long> free = new TreeSet<>();

    ElasticWorld(int units, int unitPages, ElasticOptions options, Duration deadline) {
        this.unitPages = unitPages;
        this.pages = new byte[units * unitPages][Page.SIZE];
        for (int i = 0; i < units; i++) {
            free.add(FIRST_PFN + (long) i * unitPages);
        }
        this.pool =
                new ElasticPool(
                        new PoolParts(
                                POOL,
                                (long) units * unitPages,
                                unitPages,
                                this,
                                new StoreSpace(options, FailingSlots::new),
                                this,
                                options,
                                deadline));
    }

    /// Without a minimum stay.
    static ElasticOptions options() {
        return new ElasticOptions(Duration.ZERO, 64, Optional.empty(), 1L << 30, false);
    }

    /// Slots that fail when the test wants it.
    private final class FailingSlots implements SlotStore {
        private final SlotStore slots;

        FailingSlots(long npages) {
            slots = new MemorySlots(npages);
        }

        @Override
        public void write(long page, byte[] bytes, int offset) {
            if (failingWrites.getAndUpdate(left -> Math.max(0, left - 1)) > 0) {
                throw new MdevException(Errno.ENOSPC, "the store is full");
            }
            beforeStore.run();
            usedSlots.add(System.identityHashCode(this) + "/" + page);
            slots.write(page, bytes, offset);
        }

        @Override
        public void read(long page, byte[] bytes, int offset) {
            slots.read(page, bytes, offset);
        }

        @Override
        public void drop(long page) {
            slots.drop(page);
        }

        @Override
        public void close() {
            slots.close();
        }
    }

    /// A device and its guest.
    final class Device implements ElasticOwner {
        final UUID uuid = UUID.randomUUID();
        final DeviceMemory memory;

        /// Whether the driver gives up a page.
        volatile BiPredicate<String, Long> gives = (_, _) -> true;

        /// Run before its mappings are revoked.
        volatile Runnable beforeRevoke = () -> {};

        /// Revokes only when the frame is scrubbed: the planted bug.
        volatile boolean revokesLate;

        private final Map<Long, Long> mapped = new HashMap<>();

        /// How often each page was revoked.
        private final Map<Long, Integer> revocations = new HashMap<>();

        private final ReentrantReadWriteLock gate = new ReentrantReadWriteLock();

        Device(int minUnits, int maxUnits) {
            List<PfnRange> minimum = new ArrayList<>();
            synchronized (ElasticWorld.this) {
                if (free.size() < minUnits) {
                    throw new MdevException(Errno.EUSERS, "no room for a minimum");
                }
                for (int i = 0; i < minUnits; i++) {
                    long pfn = free.removeFirst();
                    owners.put(pfn, uuid);
                    minimum.add(new PfnRange(pfn, unitPages));
                }
            }
            MdevType.Demand demand =
                    MdevType.Demand.elastic(
                            POOL,
                            (long) minUnits * unitPages,
                            (long) maxUnits * unitPages,
                            unitPages);
            memory = pool.admit(this, demand, minimum);
        }

        @Override
        public UUID uuid() {
            return uuid;
        }

        @Override
        public EvictAnswer askToEvict(String name, List<Long> firstPages, long npages) {
            return new EvictAnswer(
                    firstPages.stream().map(page -> gives.test(name, page)).toList(),
                    Optional.empty());
        }

        @Override
        public void revoke(int region, long firstPage, long npages) {
            beforeRevoke.run();
            if (revokesLate) {
                Runnable earlier = beforeScrub;
                beforeScrub =
                        () -> {
                            earlier.run();
                            revokeNow(firstPage, npages);
                        };
            } else {
                revokeNow(firstPage, npages);
            }
        }

        private void revokeNow(long firstPage, long npages) {
            gate.writeLock().lock();
            try {
                for (long page = firstPage; page < firstPage + npages; page++) {
                    mapped.remove(page);
                    revocations.merge(page, 1, Integer::sum);
                }
            } finally {
                gate.writeLock().unlock();
            }
        }

        private int revocationsOf(long page) {
            gate.readLock().lock();
            try {
                return revocations.getOrDefault(page, 0);
            } finally {
                gate.readLock().unlock();
            }
        }

        /// Maps a page, as a fault does: an answer that a revocation overtook is no mapping, also
        /// if the page stayed where it was.
        void fault(long page) {
            int before = revocationsOf(page);
            MapDecision.Grant grant =
                    memory.mapIn(
                            new MapRequest(
                                    REGION,
                                    page,
                                    page,
                                    page + 1,
                                    Access.WRITE,
                                    MapRequest.Reason.FIRST_TOUCH),
                            new MapDecision.FromPool(page, POOL, page, 1, Prot.READ_WRITE));
            gate.writeLock().lock();
            try {
                if (revocations.getOrDefault(page, 0) == before) {
                    mapped.put(page, grant.pfns().firstPfn());
                }
            } finally {
                gate.writeLock().unlock();
            }
        }

        /// Stores the first word of a page, and returns what was there.
        long exchange(long page, long value) {
            while (true) {
                gate.readLock().lock();
                try {
                    Long pfn = mapped.get(page);
                    if (pfn != null) {
                        MemorySegment word = MemorySegment.ofArray(pages[indexOf(pfn)]);
                        long old = word.get(ValueLayout.JAVA_LONG_UNALIGNED, 0);
                        word.set(ValueLayout.JAVA_LONG_UNALIGNED, 0, value);
                        return old;
                    }
                } finally {
                    gate.readLock().unlock();
                }
                fault(page);
            }
        }

        /// Pages that the guest has mapped, with their pfns.
        Map<Long, Long> mapped() {
            gate.readLock().lock();
            try {
                return Map.copyOf(mapped);
            } finally {
                gate.readLock().unlock();
            }
        }

        /// Ends the device: its pages are scrubbed and free.
        void end() {
            memory.end();
            synchronized (ElasticWorld.this) {
                List<Long> mine =
                        owners.entrySet().stream()
                                .filter(entry -> entry.getValue().equals(uuid))
                                .map(Map.Entry::getKey)
                                .toList();
                mine.forEach(ElasticWorld.this::clear);
                mine.forEach(owners::remove);
                free.addAll(mine);
            }
        }
    }

    private static int indexOf(long pfn) {
        return (int) (pfn - FIRST_PFN);
    }

    private void clear(long frame) {
        for (int i = 0; i < unitPages; i++) {
            Arrays.fill(pages[indexOf(frame) + i], (byte) 0);
        }
    }

    private void requireClean(long frame) {
        for (int i = 0; i < unitPages; i++) {
            byte[] page = pages[indexOf(frame) + i];
            if (Arrays.mismatch(page, new byte[Page.SIZE]) >= 0) {
                throw new AssertionError("a dirty frame changes its owner: pfn=" + frame);
            }
        }
    }

    synchronized int freeUnits() {
        return free.size();
    }

    @Override
    public List<Long> borrow(UUID device, int most) {
        beforeBorrow.run();
        return borrowNow(device, most);
    }

    private synchronized List<Long> borrowNow(UUID device, int most) {
        List<Long> frames = new ArrayList<>();
        while (frames.size() < most && !free.isEmpty()) {
            long frame = free.removeLast();
            requireClean(frame);
            owners.put(frame, device);
            frames.addFirst(frame);
        }
        return frames;
    }

    private void requireOwner(long frame, UUID owner) {
        if (!owner.equals(owners.get(frame))) {
            throw new AssertionError("pfn=%d is not of %s".formatted(frame, owner));
        }
    }

    @Override
    public synchronized void pass(List<Long> frames, UUID from, UUID to) {
        for (long frame : frames) {
            requireOwner(frame, from);
            requireClean(frame);
            owners.put(frame, to);
        }
    }

    @Override
    public synchronized void giveBack(List<Long> frames, UUID from) {
        for (long frame : frames) {
            requireOwner(frame, from);
            requireClean(frame);
            owners.remove(frame);
            free.add(frame);
        }
    }

    @Override
    public List<Long> scrub(List<Long> frames, UUID owner) {
        Runnable late = beforeScrub;
        beforeScrub = () -> {};
        late.run();
        synchronized (this) {
            for (long frame : frames) {
                requireOwner(frame, owner);
                clear(frame);
            }
        }
        return frames;
    }

    @Override
    public synchronized void quarantine(List<Long> frames, UUID owner, String reason) {
        for (long frame : frames) {
            requireOwner(frame, owner);
            owners.remove(frame);
            quarantined.add(frame);
        }
    }

    @Override
    public void read(long pfn, long offsetBytes, MemorySegment destination) {
        beforeCopy.run();
        eachPage(
                pfn,
                offsetBytes,
                destination,
                (page, at, part) -> part.copyFrom(page.asSlice(at, part.byteSize())));
    }

    @Override
    public void write(long pfn, long offsetBytes, MemorySegment source) {
        beforeCopy.run();
        eachPage(
                pfn,
                offsetBytes,
                source,
                (page, at, part) -> page.asSlice(at, part.byteSize()).copyFrom(part));
    }

    private interface Part {
        void copy(MemorySegment page, long at, MemorySegment part);
    }

    private void eachPage(long pfn, long offsetBytes, MemorySegment bytes, Part each) {
        long done = 0;
        while (done < bytes.byteSize()) {
            long at = offsetBytes + done;
            long inPage = at % Page.SIZE;
            long length = Math.min(bytes.byteSize() - done, Page.SIZE - inPage);
            byte[] page = pages[indexOf(pfn) + (int) Page.numberOf(at)];
            each.copy(MemorySegment.ofArray(page), inPage, bytes.asSlice(done, length));
            done += length;
        }
    }

    @Override
    public void refused(UUID device, String name, String reason) {
        news.add("refused " + device + " " + reason);
    }

    @Override
    public void storeFailed(UUID device, String name, String reason) {
        news.add("store " + device + " " + reason);
    }

    @Override
    public void thrashing(String name, long returned, long evicted) {
        news.add("thrashing " + returned + " of " + evicted);
    }
}
