package dev.mdev.testkit;

import dev.mdev.api.ElasticMemory;
import dev.mdev.api.Errno;
import dev.mdev.api.GrantCheck;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.Random;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.locks.ReentrantLock;

/// A device's elastic share of a pool, under permanent pressure: the device never has more than its
/// minimum, so whatever it uses beyond that takes away something else of its own, picked at random.
final class InMemoryElastic implements ElasticMemory {
    private final Device device;
    private final SparseAperture aperture;
    private final MdevType.Demand demand;
    private final SplittableRandom random;

    /// Guards all of the following.
    private final ReentrantLock lock = new ReentrantLock();

    /// The first pfns of the units without content.
    private final List<Long> spares = new ArrayList<>();

    /// By unit: its first pfn.
    private final Map<Integer, Long> resident = new HashMap<>();

    /// By unit: its content.
    private final Map<Integer, byte[]> evicted = new HashMap<>();

    /// By unit: how often it is pinned.
    private final Map<Integer, Integer> pins = new HashMap<>();

    /// By unit: where the guest may have mapped it.
    private final Map<Integer, Set<Place>> places = new HashMap<>();

    /// Page `i` of the share is page `i + offsetPages` of the region.
    private record Place(int region, long offsetPages) {}

    /// The device of a share.
    interface Device {
        /// Asks the driver, outside the device's turn.
        boolean mayEvict(String pool, long firstPage, long npages);

        /// Revokes mappings of a region.
        void revoke(int region, long firstPage, long npages);

        /// A failure that a test has planted, if it is due; a use after the device's end.
        void check(FaultInjector.Site site);

        ContractViolation violation(String text);
    }

    /// @param minimum the pages of the device
    InMemoryElastic(
            Device device,
            SparseAperture aperture,
            MdevType.Demand demand,
            PoolShare minimum,
            SplittableRandom random) {
        this.device = device;
        this.aperture = aperture;
        this.demand = demand;
        this.random = random;
        for (PfnRange extent : minimum.extents()) {
            for (long pfn = extent.firstPfn(); pfn < extent.endPfn(); pfn += demand.alignPages()) {
                spares.add(pfn);
            }
        }
    }

    String pool() {
        return demand.pool();
    }

    @Override
    public long npages() {
        return demand.npages();
    }

    @Override
    public long minPages() {
        return demand.minPages();
    }

    @Override
    public long unitPages() {
        return demand.alignPages();
    }

    private long unitBytes() {
        return Page.bytesOf(unitPages());
    }

    /// Brings the accessed page in.
    ///
    /// @return the pages of its unit that the answer covers
    MapDecision.Grant mapIn(MapRequest request, MapDecision.FromPool grant) {
        GrantCheck.violation(request, grant, npages())
                .ifPresent(rule -> {
                    throw device.violation(rule + ": " + request + " " + grant);
                });
        long page = grant.sharePageAt(request.page());
        int unit = (int) (page / unitPages());
        lock.lock();
        try {
            long start = unit * unitPages();
            long pfn = bringInLocked(unit);
            places.computeIfAbsent(unit, _ -> new LinkedHashSet<>())
                    .add(new Place(request.region(), grant.firstPage() - grant.sharePage()));
            long first = Math.max(start, grant.sharePage());
            long end = Math.min(start + unitPages(), grant.sharePage() + grant.npages());
            return new MapDecision.Grant(
                    grant.firstPage() + (first - grant.sharePage()),
                    new PfnRange(pfn + (first - start), end - first),
                    grant.prot());
        } finally {
            lock.unlock();
        }
    }

    private long bringInLocked(int unit) {
        Long there = resident.get(unit);
        if (there != null) {
            return there;
        }
        if (spares.isEmpty()) {
            evictOneLocked();
        }
        long pfn = spares.remove(random.nextInt(spares.size()));
        byte[] content = evicted.remove(unit);
        if (content != null) {
            aperture.write(aperture.offsetOf(pfn), MemorySegment.ofArray(content));
        }
        resident.put(unit, pfn);
        return pfn;
    }

    private void evictOneLocked() {
        List<Integer> units = new ArrayList<>(resident.keySet().stream().sorted().toList());
        Collections.shuffle(units, Random.from(random));
        for (int unit : units) {
            if (!pins.containsKey(unit)
                    && device.mayEvict(pool(), unit * unitPages(), unitPages())) {
                evictLocked(unit);
                return;
            }
        }
        throw new MdevException(
                Errno.ETIMEDOUT, "the driver gives up no page of its own: pool=" + pool());
    }

    private void evictLocked(int unit) {
        revokeLocked(unit);
        long pfn = Objects.requireNonNull(resident.remove(unit));
        byte[] content = new byte[(int) unitBytes()];
        aperture.read(aperture.offsetOf(pfn), MemorySegment.ofArray(content));
        evicted.put(unit, content);
        aperture.fill(aperture.offsetOf(pfn), unitBytes(), (byte) 0);
        spares.add(pfn);
    }

    private void revokeLocked(int unit) {
        Set<Place> known = places.remove(unit);
        if (known != null) {
            known.forEach(place -> {
                long first = Math.max(0, unit * unitPages() + place.offsetPages());
                device.revoke(place.region(), first, unitPages());
            });
        }
    }

    @FunctionalInterface
    private interface Piece {
        void copy(int unit, long inUnit, MemorySegment part);
    }

    private void eachPiece(
            FaultInjector.Site site, long offsetBytes, MemorySegment bytes, Piece piece) {
        Objects.checkFromIndexSize(offsetBytes, bytes.byteSize(), sizeBytes());
        device.check(site);
        lock.lock();
        try {
            long done = 0;
            while (done < bytes.byteSize()) {
                long at = offsetBytes + done;
                long inUnit = at % unitBytes();
                long length = Math.min(bytes.byteSize() - done, unitBytes() - inUnit);
                piece.copy((int) (at / unitBytes()), inUnit, bytes.asSlice(done, length));
                done += length;
            }
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void read(long offsetBytes, MemorySegment destination) {
        eachPiece(
                FaultInjector.Site.APERTURE_READ,
                offsetBytes,
                destination,
                (unit, inUnit, part) -> {
                    if (evicted.containsKey(unit)) {
                        var _ = bringInLocked(unit);
                    }
                    peekLocked(unit, inUnit, part);
                });
    }

    @Override
    public void peek(long offsetBytes, MemorySegment destination) {
        eachPiece(FaultInjector.Site.APERTURE_READ, offsetBytes, destination, this::peekLocked);
    }

    private void peekLocked(int unit, long inUnit, MemorySegment part) {
        Long pfn = resident.get(unit);
        byte[] content = evicted.get(unit);
        if (pfn != null) {
            aperture.read(aperture.offsetOf(pfn) + inUnit, part);
        } else if (content != null) {
            MemorySegment.copy(MemorySegment.ofArray(content), inUnit, part, 0, part.byteSize());
        } else {
            part.fill((byte) 0);
        }
    }

    @Override
    public void write(long offsetBytes, MemorySegment source) {
        eachPiece(
                FaultInjector.Site.APERTURE_WRITE,
                offsetBytes,
                source,
                (unit, inUnit, part) ->
                        aperture.write(aperture.offsetOf(bringInLocked(unit)) + inUnit, part));
    }

    @Override
    public boolean fetch(long firstPage, long npages) {
        requirePages(firstPage, npages);
        device.check(FaultInjector.Site.APERTURE_READ);
        lock.lock();
        try {
            boolean there = true;
            for (int unit = unitOf(firstPage); unit <= unitOf(firstPage + npages - 1); unit++) {
                there &= resident.containsKey(unit);
                if (!there) {
                    var _ = bringInLocked(unit);
                }
            }
            return there;
        } finally {
            lock.unlock();
        }
    }

    private int unitOf(long page) {
        return (int) (page / unitPages());
    }

    @Override
    public void discard(long firstPage, long npages) {
        requirePages(firstPage, npages);
        lock.lock();
        try {
            MemorySegment zeroes = MemorySegment.ofArray(new byte[Page.SIZE]);
            for (long page = firstPage; page < firstPage + npages; page++) {
                int unit = unitOf(page);
                long inUnit = Page.bytesOf(page % unitPages());
                Long pfn = resident.get(unit);
                byte[] content = evicted.get(unit);
                if (pfn != null) {
                    aperture.write(aperture.offsetOf(pfn) + inUnit, zeroes);
                } else if (content != null) {
                    MemorySegment.copy(
                            zeroes, 0, MemorySegment.ofArray(content), inUnit, Page.SIZE);
                }
            }
        } finally {
            lock.unlock();
        }
    }

    private void requirePages(long firstPage, long npages) {
        if (firstPage < 0 || npages < 1 || npages > npages() - firstPage) {
            throw new IndexOutOfBoundsException(
                    "firstPage=%d npages=%d of %d".formatted(firstPage, npages, npages()));
        }
    }

    @Override
    public OptionalLong pfnOf(long page) {
        requirePages(page, 1);
        lock.lock();
        try {
            Long pfn = resident.get(unitOf(page));
            return pfn == null ? OptionalLong.empty() : OptionalLong.of(pfn + page % unitPages());
        } finally {
            lock.unlock();
        }
    }

    @Override
    public Pin pin(long firstPage, long npages) {
        requirePages(firstPage, npages);
        device.check(FaultInjector.Site.APERTURE_WRITE);
        int first = unitOf(firstPage);
        int end = unitOf(firstPage + npages - 1) + 1;
        lock.lock();
        try {
            int pinned = pins.values().stream().mapToInt(Integer::intValue).sum();
            if (pinned + end - first > minPages() / unitPages() / 2) {
                throw new MdevException(Errno.ENOMEM, "too many pins: pool=" + pool());
            }
            List<PfnRange> pfns = new ArrayList<>();
            for (int unit = first; unit < end; unit++) {
                pins.merge(unit, 1, Integer::sum);
                long start = unit * unitPages();
                long from = Math.max(firstPage, start);
                long to = Math.min(firstPage + npages, start + unitPages());
                addTo(pfns, new PfnRange(bringInLocked(unit) + (from - start), to - from));
            }
            return new Pinned(pfns, first, end);
        } finally {
            lock.unlock();
        }
    }

    private static void addTo(List<PfnRange> pfns, PfnRange next) {
        if (!pfns.isEmpty() && pfns.getLast().endPfn() == next.firstPfn()) {
            PfnRange last = pfns.removeLast();
            pfns.add(new PfnRange(last.firstPfn(), last.npages() + next.npages()));
        } else {
            pfns.add(next);
        }
    }

    private final class Pinned implements Pin {
        private final List<PfnRange> pfns;
        private final int first;
        private int end;

        Pinned(List<PfnRange> pfns, int first, int end) {
            this.pfns = List.copyOf(pfns);
            this.first = first;
            this.end = end;
        }

        @Override
        public List<PfnRange> pfns() {
            return pfns;
        }

        @Override
        public void close() {
            lock.lock();
            try {
                for (int unit = first; unit < end; unit++) {
                    pins.computeIfPresent(unit, (_, count) -> count == 1 ? null : count - 1);
                }
                end = first;
            } finally {
                lock.unlock();
            }
        }
    }

    /// The device has ended.
    void requireNoPins() {
        lock.lock();
        try {
            if (!pins.isEmpty()) {
                throw device.violation("pages are still pinned at the end: units " + pins.keySet());
            }
        } finally {
            lock.unlock();
        }
    }

    byte[] content() {
        byte[] bytes = new byte[Math.toIntExact(sizeBytes())];
        lock.lock();
        try {
            for (int unit = 0; unit < npages() / unitPages(); unit++) {
                MemorySegment part =
                        MemorySegment.ofArray(bytes).asSlice(unit * unitBytes(), unitBytes());
                peekLocked(unit, 0, part);
            }
        } finally {
            lock.unlock();
        }
        return bytes;
    }

    /// Sets the content, as the host does in a restore: units of zeroes stay untouched.
    void setContent(MemorySegment bytes) {
        lock.lock();
        try {
            for (int unit = 0; unit < npages() / unitPages(); unit++) {
                byte[] content = new byte[(int) unitBytes()];
                MemorySegment part = MemorySegment.ofArray(content);
                part.copyFrom(bytes.asSlice(unit * unitBytes(), unitBytes()));
                if (resident.containsKey(unit)) {
                    evictLocked(unit);
                }
                evicted.put(unit, content);
            }
        } finally {
            lock.unlock();
        }
    }
}
