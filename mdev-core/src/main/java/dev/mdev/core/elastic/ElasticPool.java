package dev.mdev.core.elastic;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.page.PfnRange;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/// The elastic shares of one pool of a parent.
///
/// Any thread may call all methods, while it holds no lock of the core except a device's turn.
public final class ElasticPool {
    private final PoolState state;
    private final PoolParts parts;
    private final RoomMaker rooms;
    private final Arrivals arrivals;

    public ElasticPool(PoolParts parts) {
        this.parts = parts;
        this.state = new PoolState(parts);
        this.rooms = new RoomMaker(state);
        this.arrivals = new Arrivals(state, rooms);
    }

    /// Takes a new device in.
    ///
    /// @param demand an elastic one, with this pool's units
    /// @param minimum the pages that were taken for it: its guaranteed minimum, clean
    /// @throws MdevException EUSERS if the maximums would exceed the limit of the options, or the
    ///   backing store; EIO if the store fails
    public DeviceMemory admit(ElasticOwner owner, MdevType.Demand demand, List<PfnRange> minimum) {
        StoredPages stored = parts.store().open(demand.npages());
        try {
            Share share = new Share(state, owner, demand, framesOf(minimum), stored);
            addWithinRatio(share);
            return new DeviceMemory(state, arrivals, share, this::remove);
        } catch (RuntimeException | Error e) {
            parts.store().close(stored, demand.npages());
            throw e;
        }
    }

    private void addWithinRatio(Share share) {
        state.lock.lock();
        try {
            long pages =
                    share.demand.npages()
                            + state.membersLocked().stream()
                                    .mapToLong(one -> one.demand.npages())
                                    .sum();
            if (pages > parts.options().maxRatio() * parts.totalPages()) {
                throw new MdevException(
                        Errno.EUSERS,
                        "overcommitted too far: pool=%s would promise %d pages at most, has %d, the limit is %s times that"
                                .formatted(
                                        parts.name(),
                                        pages,
                                        parts.totalPages(),
                                        parts.options().maxRatio()));
            }
            state.membersLocked().add(share);
        } finally {
            state.lock.unlock();
        }
    }

    private List<Long> framesOf(List<PfnRange> extents) {
        List<Long> frames = new ArrayList<>();
        for (PfnRange extent : extents) {
            for (long pfn = extent.firstPfn(); pfn < extent.endPfn(); pfn += parts.unitPages()) {
                frames.add(pfn);
            }
        }
        return frames;
    }

    /// Takes frames above their minimum from the devices, and makes them free, for a device that is
    /// to be created.
    ///
    /// @param npages how many pages are wanted
    /// @return pages that became free
    /// @throws MdevException as [Reclaim#makeFree]
    public long makeFree(long npages) {
        try (Reclaim reclaim = reclaim()) {
            return reclaim.makeFree(npages);
        }
    }

    /// Begins to make room for a device that is to be created.
    public Reclaim reclaim() {
        return new Reclaim(state, rooms);
    }

    /// Who would give pages up if so many had to become free now, in the order of the requests.
    ///
    /// @return pages by device; together fewer if there are not so many above the minimums
    public Map<UUID, Long> givers(long npages) {
        return rooms.givers(npages);
    }

    /// What the devices have, in the order of their creation.
    public List<ElasticUsage> usage() {
        state.lock.lock();
        try {
            return state.membersLocked().stream().map(Share::usageLocked).toList();
        } finally {
            state.lock.unlock();
        }
    }

    public ElasticCounters counters() {
        return state.counters;
    }

    /// The room of the backing store, which all pools of the parent share.
    public StoreSpace store() {
        return parts.store();
    }

    /// Removes a device whose driver has let go: waits until nobody works on its units or passes
    /// its frames. Its pages are still its own, and dirty.
    private void remove(Share share) {
        state.lock.lock();
        try {
            while (isInWork(share.holding)) {
                state.changed.awaitUninterruptibly();
            }
            if (!state.membersLocked().remove(share)) {
                return;
            }
            state.changed.signalAll();
        } finally {
            state.lock.unlock();
        }
        try {
            parts.store().close(share.stored, share.demand.npages());
        } catch (MdevException e) {
            // Nobody needs the content any more, and the device must end.
            parts.news().storeFailed(share.owner().uuid(), parts.name(), e.getMessage());
        }
    }

    /// Whether somebody works on units of a device, or passes frames to or from it. Nobody begins
    /// to once it has ended.
    private static boolean isInWork(Holding holding) {
        return holding.transfers > 0
                || holding.known().stream().anyMatch(unit -> unit.isInTransit() || unit.copies > 0);
    }
}
