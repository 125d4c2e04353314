package dev.mdev.core.elastic;

import dev.mdev.api.ElasticMemory;
import dev.mdev.api.Errno;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;

/// One device's elastic share of a pool.
public final class DeviceMemory implements ElasticMemory {
    private final PoolState pool;
    private final Arrivals arrivals;
    private final Share share;
    private final Holding holding;
    private final Consumer<Share> leave;
    private final int unitPages;
    private final AtomicBoolean fetching = new AtomicBoolean();

    /// Why the last fetch failed; null if it did not, or the driver knows.
    private final AtomicReference<@Nullable MdevException> fetchTrouble = new AtomicReference<>();

    /// @param leave removes the share from its pool
    DeviceMemory(PoolState pool, Arrivals arrivals, Share share, Consumer<Share> leave) {
        this.pool = pool;
        this.arrivals = arrivals;
        this.share = share;
        this.holding = share.holding;
        this.leave = leave;
        this.unitPages = share.unitPages;
    }

    /// The pool's name.
    public String pool() {
        return share.demand.pool();
    }

    @Override
    public long npages() {
        return share.demand.npages();
    }

    @Override
    public long minPages() {
        return share.demand.minPages();
    }

    @Override
    public long unitPages() {
        return unitPages;
    }

    private int unitOf(long page) {
        return (int) (page / unitPages);
    }

    /// Brings the accessed page in, and notes where the guest may map it, so that it is revoked
    /// there before it is taken away. An eviction after this finds the request pending, and the
    /// caller's answer is discarded then.
    ///
    /// @param grant a checked answer of the driver
    /// @return pages of the answer around the accessed one that are neighbours in the aperture
    /// @throws MdevException see [ElasticMemory]; EAGAIN if nobody waits and there is no spare page
    public MapDecision.Grant mapIn(MapRequest request, MapDecision.FromPool grant) {
        long page = grant.sharePageAt(request.page());
        Place place = share.place(request.region(), grant.firstPage() - grant.sharePage());
        Arrivals.Effort effort =
                request.reason() == MapRequest.Reason.PREFETCH
                        ? Arrivals.Effort.SPARE
                        : Arrivals.Effort.ALL;
        while (true) {
            GrantRun run = new GrantRun(share, grant, place);
            boolean found =
                    arrivals.require(
                            share, unitOf(page), effort, unit -> run.growLocked(unit, page));
            if (found) {
                return run.toGrant();
            }
            share.revoke(List.of(), List.of(holding.unit(unitOf(page))));
        }
    }

    /// One piece of an access, in one unit.
    @FunctionalInterface
    private interface Piece {
        /// @param offsetBytes from the start of the unit
        void copy(int unit, long offsetBytes, MemorySegment part);
    }

    private void eachPiece(long offsetBytes, MemorySegment bytes, Piece piece) {
        Objects.checkFromIndexSize(offsetBytes, bytes.byteSize(), sizeBytes());
        long unitBytes = Page.bytesOf(unitPages);
        long done = 0;
        while (done < bytes.byteSize()) {
            long at = offsetBytes + done;
            long inUnit = at % unitBytes;
            long length = Math.min(bytes.byteSize() - done, unitBytes - inUnit);
            piece.copy((int) (at / unitBytes), inUnit, bytes.asSlice(done, length));
            done += length;
        }
    }

    @Override
    public void read(long offsetBytes, MemorySegment destination) {
        eachPiece(
                offsetBytes,
                destination,
                (index, inUnit, part) -> {
                    if (isAbsent(index)) {
                        part.fill((byte) 0);
                    } else {
                        copy(index, unit -> pool.parts.bank().read(unit.pfn, inUnit, part));
                    }
                });
    }

    @Override
    public void write(long offsetBytes, MemorySegment source) {
        eachPiece(
                offsetBytes,
                source,
                (index, inUnit, part) ->
                        copy(index, unit -> pool.parts.bank().write(unit.pfn, inUnit, part)));
    }

    private boolean isAbsent(int index) {
        pool.lock.lock();
        try {
            share.requireAliveLocked();
            Unit unit = holding.find(index);
            return unit == null || unit.state == Unit.State.ABSENT;
        } finally {
            pool.lock.unlock();
        }
    }

    @FunctionalInterface
    private interface Copy {
        void run(Unit unit);
    }

    /// Copies from or to a unit, which stays where it is meanwhile.
    private void copy(int index, Copy copy) {
        Unit unit =
                arrivals.require(
                        share,
                        index,
                        Arrivals.Effort.ALL,
                        found -> {
                            found.copies++;
                            return found;
                        });
        try {
            copy.run(unit);
        } finally {
            endCopy(unit);
        }
    }

    private void endCopy(Unit unit) {
        pool.lock.lock();
        try {
            unit.copies--;
            pool.changed.signalAll();
        } finally {
            pool.lock.unlock();
        }
    }

    @Override
    public void peek(long offsetBytes, MemorySegment destination) {
        eachPiece(offsetBytes, destination, this::peek);
    }

    private void peek(int index, long inUnit, MemorySegment part) {
        Patience patience = share.patience();
        Unit unit;
        pool.lock.lock();
        try {
            unit = holding.unit(index);
            while (unit.isInTransit()) {
                patience.await(pool.changed, Long.MAX_VALUE);
            }
            share.requireAliveLocked();
            switch (unit.state) {
                case RESIDENT -> unit.copies++;
                case STORED -> unit.state = Unit.State.READING;
                default -> {
                    part.fill((byte) 0);
                    return;
                }
            }
        } finally {
            pool.lock.unlock();
        }
        if (unit.state == Unit.State.RESIDENT) {
            try {
                pool.parts.bank().read(unit.pfn, inUnit, part);
            } finally {
                endCopy(unit);
            }
            return;
        }
        try {
            MemorySegment.copy(
                    MemorySegment.ofArray(share.load(unit)), inUnit, part, 0, part.byteSize());
        } finally {
            become(unit, Unit.State.STORED);
        }
    }

    private void become(Unit unit, Unit.State state) {
        pool.lock.lock();
        try {
            unit.state = state;
            pool.changed.signalAll();
        } finally {
            pool.lock.unlock();
        }
    }

    @Override
    public boolean fetch(long firstPage, long npages) {
        requirePages(firstPage, npages);
        int first = unitOf(firstPage);
        int end = unitOf(firstPage + npages - 1) + 1;
        MdevException trouble = fetchTrouble.getAndSet(null);
        if (trouble != null) {
            throw new MdevException(trouble.errno(), trouble.getMessage(), trouble);
        }
        boolean there = areResident(first, end);
        if (!there && fetching.compareAndSet(false, true)) {
            Thread.ofVirtual()
                    .name("mdev-fetch-" + share.owner().uuid())
                    .start(() -> bringIn(first, end));
        }
        return there;
    }

    private boolean areResident(int first, int end) {
        pool.lock.lock();
        try {
            share.requireAliveLocked();
            boolean all = true;
            for (int index = first; index < end; index++) {
                Unit unit = holding.unit(index);
                all &= unit.state == Unit.State.RESIDENT;
                unit.referenced = true;
            }
            return all;
        } finally {
            pool.lock.unlock();
        }
    }

    private void bringIn(int first, int end) {
        try {
            for (int index = first; index < end; index++) {
                var _ = arrivals.require(share, index, Arrivals.Effort.ALL, unit -> unit);
            }
        } catch (MdevException e) {
            fetchTrouble.set(e);
        } finally {
            fetching.set(false);
        }
    }

    @Override
    public void discard(long firstPage, long npages) {
        requirePages(firstPage, npages);
        new Discard(pool, share).run(firstPage, npages);
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
        pool.lock.lock();
        try {
            Unit unit = holding.unit(unitOf(page));
            return unit.state == Unit.State.RESIDENT
                    ? OptionalLong.of(unit.pfn + page % unitPages)
                    : OptionalLong.empty();
        } finally {
            pool.lock.unlock();
        }
    }

    @Override
    public Pin pin(long firstPage, long npages) {
        requirePages(firstPage, npages);
        int first = unitOf(firstPage);
        int end = unitOf(firstPage + npages - 1) + 1;
        reservePins(end - first);
        List<Unit> units = new ArrayList<>();
        boolean done = false;
        try {
            for (int index = first; index < end; index++) {
                units.add(
                        arrivals.require(
                                share,
                                index,
                                Arrivals.Effort.ALL,
                                unit -> {
                                    unit.pins++;
                                    return unit;
                                }));
            }
            done = true;
        } finally {
            if (!done) {
                unpin(units, end - first);
            }
        }
        return new UnitPin(share, units, firstPage, npages, () -> unpin(units, end - first));
    }

    private void reservePins(int units) {
        pool.lock.lock();
        try {
            if (units > holding.minUnits / 2 - holding.pinned) {
                throw new MdevException(
                        Errno.ENOMEM,
                        "mdev=%s may pin %d pages of pool=%s, has pinned %d, wants %d more"
                                .formatted(
                                        share.owner().uuid(),
                                        (long) holding.minUnits / 2 * unitPages,
                                        pool(),
                                        (long) holding.pinned * unitPages,
                                        (long) units * unitPages));
            }
            holding.pinned += units;
        } finally {
            pool.lock.unlock();
        }
    }

    /// @param reserved how many units the pin was for
    void unpin(List<Unit> units, int reserved) {
        pool.lock.lock();
        try {
            units.forEach(unit -> unit.pins--);
            holding.pinned -= reserved;
            pool.changed.signalAll();
        } finally {
            pool.lock.unlock();
        }
    }

    /// The device is about to end: nothing more is taken from it for others.
    public void retire() {
        pool.lock.lock();
        try {
            holding.retired = true;
        } finally {
            pool.lock.unlock();
        }
    }

    /// The device's driver has let go of it. Waits until nobody works on its pages, which are still
    /// the device's, and dirty. Closing again does nothing.
    public void end() {
        pool.lock.lock();
        try {
            holding.retired = true;
            holding.ended = true;
            pool.changed.signalAll();
        } finally {
            pool.lock.unlock();
        }
        leave.accept(share);
    }

    /// What the device has now.
    public ElasticUsage usage() {
        pool.lock.lock();
        try {
            return share.usageLocked();
        } finally {
            pool.lock.unlock();
        }
    }

    @Override
    public String toString() {
        return "elastic share of mdev=%s pool=%s".formatted(share.owner().uuid(), pool());
    }
}
