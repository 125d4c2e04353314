package dev.mdev.core.bus;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.capacity.DefragPlan;
import dev.mdev.core.capacity.DefragPlanner;
import dev.mdev.core.capacity.ExtentMap;
import dev.mdev.core.capacity.FitReport;
import dev.mdev.core.capacity.PoolMap;
import dev.mdev.core.capacity.PoolUsage;
import dev.mdev.core.capacity.PoolView;
import dev.mdev.core.capacity.Tenant;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.Parent;
import dev.mdev.core.elastic.DeviceMemory;
import dev.mdev.core.elastic.ElasticPool;
import dev.mdev.core.elastic.ElasticUsage;
import dev.mdev.core.ledger.Verb;
import dev.mdev.core.sync.LongWork;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/// Explains why a device does not fit, and moves idle devices out of the way.
///
/// ```
/// block new holders of the device; take the new pages               in memory
/// begin, and mark the new pages dirty                               durable
/// copy and compare, MdevDevice.shareMoved                           in the device's turn
/// end
/// scrub and verify the old pages, record them as clean
/// the device may be had again
/// ```
///
/// A crash ends the move with the process's devices; where a driver's devices outlive the process,
/// the driver says which pages its device has, and recovery scrubs the others, which are marked.
final class Defragmenter {
    private static final int CHUNK_PAGES = 64;

    private final BusContext bus;

    Defragmenter(BusContext bus) {
        this.bus = bus;
    }

    FitReport explain(Parent parent, MdevType type) {
        List<FitReport.Shortage> shortages = new ArrayList<>();
        List<FitReport.Giver> givers = new ArrayList<>();
        List<DefragPlan.Move> moves = new ArrayList<>();
        boolean planned = true;
        for (MdevType.Demand demand : type.demands()) {
            PoolView view = view(parent, demand.pool());
            if (view.free().copy().take(demand).isPresent()) {
                continue;
            }
            List<FitReport.Giver> asked = giversOf(parent, demand);
            givers.addAll(asked);
            long given = asked.stream().mapToLong(FitReport.Giver::npages).sum();
            if (demand.isElastic() && view.free().freePages() + given >= demand.minPages()) {
                continue;
            }
            DefragPlanner planner = new DefragPlanner(view, demand);
            boolean scattered = view.free().freePages() >= demand.minPages();
            Optional<List<DefragPlan.Move>> found = scattered ? planner.plan() : Optional.empty();
            found.ifPresent(moves::addAll);
            planned &= found.isPresent();
            shortages.add(
                    new FitReport.Shortage(
                            demand,
                            usageOf(parent, demand.pool()),
                            scattered ? planner.blockers() : List.of()));
        }
        return new FitReport(
                parent.name(),
                type.id(),
                bus.registry().instances(parent, type),
                type.maxInstances(),
                parent.room(type),
                shortages,
                givers,
                planned && !shortages.isEmpty()
                        ? Optional.of(new DefragPlan(parent.name(), type.id(), moves))
                        : Optional.empty());
    }

    private static List<FitReport.Giver> giversOf(Parent parent, MdevType.Demand demand) {
        ElasticPool pool = parent.elastic().get(demand.pool());
        long missing = parent.capacity().missing(demand);
        if (pool == null || missing == 0) {
            return List.of();
        }
        return pool.givers(missing).entrySet().stream()
                .map(giver -> new FitReport.Giver(giver.getKey(), demand.pool(), giver.getValue()))
                .toList();
    }

    private static PoolUsage usageOf(Parent parent, String pool) {
        return parent.capacity().ask(pool, PoolMap::usage);
    }

    private record Snapshot(ExtentMap free, List<PoolMap.Taken> taken) {}

    private PoolView view(Parent parent, String pool) {
        Snapshot now = parent.capacity().ask(pool, map -> new Snapshot(map.free(), map.taken()));
        Map<UUID, List<PfnRange>> devices = new LinkedHashMap<>();
        List<PoolView.Occupant> occupants = new ArrayList<>();
        for (PoolMap.Taken taken : now.taken()) {
            PfnRange pfns = taken.pfns();
            switch (taken.tenant()) {
                case Tenant.Device device ->
                        devices.computeIfAbsent(device.uuid(), _ -> new ArrayList<>()).add(pfns);
                case Tenant.Shared _ ->
                        throw new IllegalStateException("no type demands of shared pool=" + pool);
                case Tenant.Scrubbing _ -> occupants.add(unowned(pfns, FitReport.Reason.SCRUBBING));
                case Tenant.Bad _ -> occupants.add(unowned(pfns, FitReport.Reason.QUARANTINED));
            }
        }
        devices.forEach((uuid, extents) -> occupants.add(occupant(uuid, pool, extents)));
        return new PoolView(pool, now.free(), occupants);
    }

    private static PoolView.Occupant unowned(PfnRange pfns, FitReport.Reason reason) {
        return new PoolView.Occupant(
                new FitReport.Blocker(Optional.empty(), pfns.npages(), reason, ""),
                List.of(pfns),
                Optional.empty());
    }

    /// @param extents in ascending order, which may differ from the order of the device's share
    private PoolView.Occupant occupant(UUID uuid, String pool, List<PfnRange> extents) {
        long npages = extents.stream().mapToLong(PfnRange::npages).sum();
        Optional<Registry.Entry> entry = bus.registry().find(uuid);
        Mdev mdev = entry.map(Registry.Entry::mdev).orElse(null);
        ElasticUsage elastic = mdev == null ? null : elasticIn(mdev, pool);
        FitReport.Reason reason;
        String detail = "";
        if (mdev == null) {
            reason = FitReport.Reason.FOREIGN;
        } else if (entry.get().activity() != Activity.ACTIVE) {
            reason = FitReport.Reason.UNSETTLED;
            detail = entry.get().trouble().orElse(entry.get().activity().toString());
        } else if (elastic != null) {
            reason = FitReport.Reason.ELASTIC;
            detail = words(elastic);
        } else if (!mdev.driver().isMovable()) {
            reason = FitReport.Reason.NOT_MOVABLE;
        } else {
            Optional<String> holder = mdev.holder();
            reason = holder.isPresent() ? FitReport.Reason.ASSIGNED : FitReport.Reason.IDLE;
            detail = holder.orElse("");
        }
        Optional<MdevType.Demand> demand =
                mdev == null
                        ? Optional.empty()
                        : mdev.type().demands().stream()
                                .filter(one -> one.pool().equals(pool))
                                .findFirst();
        List<PfnRange> inOrder = mdev == null ? extents : extentsOf(mdev, pool);
        boolean whole = inOrder.stream().mapToLong(PfnRange::npages).sum() == npages;
        return new PoolView.Occupant(
                new FitReport.Blocker(Optional.of(uuid), npages, reason, detail),
                whole ? inOrder : extents,
                whole ? demand : Optional.empty());
    }

    private static @Nullable ElasticUsage elasticIn(Mdev mdev, String pool) {
        return mdev.elastic().stream()
                .filter(memory -> memory.pool().equals(pool))
                .map(DeviceMemory::usage)
                .findFirst()
                .orElse(null);
    }

    private static String words(ElasticUsage usage) {
        return "%d pages guaranteed, %d can be taken back"
                .formatted(usage.minPages(), usage.reclaimablePages());
    }

    private static List<PfnRange> extentsOf(Mdev mdev, String pool) {
        return mdev.share().stream()
                .filter(share -> share.pool().equals(pool))
                .flatMap(share -> share.extents().stream())
                .toList();
    }

    /// Makes the moves of a plan, one after the other.
    ///
    /// @throws MdevException ESTALE if a device or its target no longer matches the plan, EBUSY if
    ///   it is assigned, ECANCELED if its [LongWork] is to end; otherwise the driver's error.
    ///   Completed moves stay
    void apply(DefragPlan plan) {
        Parent parent = bus.parent(plan.parent());
        LongWork work = LongWork.current();
        work.begin("pages", plan.moves().stream().mapToLong(DefragPlan.Move::npages).sum());
        int left = plan.moves().size();
        for (DefragPlan.Move move : plan.moves()) {
            left--;
            if (left == 0) {
                work.noReturn("the last device is being moved");
            }
            work.requireGoingOn();
            work.doing("mdev=%s is moved".formatted(move.uuid()));
            try (VerbLocks.Claim claim =
                    bus.claims().claimYielding(move.uuid(), "moved", Errno.EAGAIN)) {
                apply(parent, move);
                claim.requireNotLost();
            }
        }
    }

    private void apply(Parent parent, DefragPlan.Move move) {
        Registry.Entry entry =
                bus.registry()
                        .find(move.uuid())
                        .filter(e -> e.parent() == parent && e.activity() == Activity.ACTIVE)
                        .filter(e -> e.mdev() != null)
                        .filter(e -> extentsOf(e.required(), move.pool()).equals(move.from()))
                        .orElseThrow(() -> stale(move));
        Mdev mdev = entry.required();
        mdev.assignment().beginWork("moved");
        try {
            move(entry, move);
        } finally {
            mdev.assignment().endWork();
        }
        bus.observer().event(new MdevEvent.Moved(move.uuid(), move.pool(), move.npages()));
    }

    private static MdevException stale(DefragPlan.Move move) {
        return new MdevException(Errno.ESTALE, "the plan is outdated: " + move);
    }

    /// The target must meet the demand of the device's type, whatever the origin of the plan.
    private static void requireAllowed(Mdev mdev, DefragPlan.Move move) {
        MdevType.Demand demand =
                mdev.type().demands().stream()
                        .filter(one -> one.pool().equals(move.pool()))
                        .findFirst()
                        .orElseThrow(() -> stale(move));
        long base = mdev.parent().capacity().ask(move.pool(), PoolMap::bounds).firstPfn();
        long mask = demand.alignPages() - 1;
        boolean aligned =
                move.to().stream()
                        .allMatch(to -> (((to.firstPfn() - base) | to.npages()) & mask) == 0);
        long npages = move.to().stream().mapToLong(PfnRange::npages).sum();
        if (!aligned
                || npages != demand.minPages()
                || (demand.contiguous() && move.to().size() != 1)) {
            throw new MdevException(
                    Errno.EINVAL, "not what the type demands: %s %s".formatted(demand, move));
        }
    }

    private void move(Registry.Entry entry, DefragPlan.Move move) {
        Mdev mdev = entry.required();
        Parent parent = mdev.parent();
        Tenant tenant = new Tenant.Device(mdev.uuid());
        List<PoolShare> old = List.of(new PoolShare(move.pool(), move.from()));
        List<PoolShare> target = List.of(new PoolShare(move.pool(), move.to()));
        requireAllowed(mdev, move);
        try {
            parent.capacity().allocateAt(target, tenant);
        } catch (MdevException e) {
            e.addSuppressed(stale(move));
            throw new MdevException(Errno.ESTALE, e.getMessage(), e);
        }
        List<PoolShare> wholeShare =
                mdev.share().stream()
                        .map(share -> share.pool().equals(move.pool()) ? target.getFirst() : share)
                        .toList();
        long op;
        try {
            op = bus.ledger().begin(Verb.MOVE, BusContext.subject(mdev, entry.owner(), wholeShare));
        } catch (RuntimeException | Error e) {
            parent.capacity().release(target, tenant);
            throw e;
        }
        Optional<MdevException> stands;
        try {
            stands =
                    mdev.moveTo(
                            wholeShare,
                            () -> copy(parent.aperture(), old.getFirst(), target.getFirst()));
        } finally {
            // After any failure at any time: of the two shares, the one that the device does not
            // have.
            boolean moved = extentsOf(mdev, move.pool()).equals(move.to());
            List<PoolShare> left = moved ? old : target;
            bus.ledger().end(op, moved);
            bus.scrubber().giveBack(parent, left, tenant, _ -> {});
        }
        if (stands.isPresent()) {
            throw stands.get();
        }
    }

    /// Copies page by page, in pieces that lie in one extent on both sides, and compares. What is
    /// equal already is not written: zeroes take no memory.
    private static void copy(Aperture aperture, PoolShare from, PoolShare to) {
        byte[] bytes = new byte[CHUNK_PAGES * Page.SIZE];
        byte[] back = new byte[bytes.length];
        LongWork work = LongWork.current();
        long npages = from.npages();
        long page = 0;
        while (page < npages) {
            PfnRange source = from.extentFrom(page);
            PfnRange target = to.extentFrom(page);
            long count = Math.min(CHUNK_PAGES, Math.min(source.npages(), target.npages()));
            int length = (int) Page.bytesOf(count);
            MemorySegment buffer = MemorySegment.ofArray(bytes).asSlice(0, length);
            aperture.read(offsetOf(aperture, source), buffer);
            MemorySegment found = MemorySegment.ofArray(back).asSlice(0, length);
            aperture.read(offsetOf(aperture, target), found);
            if (found.mismatch(buffer) >= 0) {
                aperture.write(offsetOf(aperture, target), buffer);
                aperture.read(offsetOf(aperture, target), found);
            }
            if (found.mismatch(buffer) >= 0) {
                throw new MdevException(Errno.EIO, "does not read back as written: " + target);
            }
            page += count;
            work.add(count);
        }
    }

    private static long offsetOf(Aperture aperture, PfnRange pfns) {
        return Page.addressOf(pfns.firstPfn() - aperture.pfns().firstPfn());
    }
}
