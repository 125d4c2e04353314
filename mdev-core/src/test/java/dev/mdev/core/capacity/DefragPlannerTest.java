package dev.mdev.core.capacity;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.MdevType;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.support.Seeded;

import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.UUID;

class DefragPlannerTest {
    /// No multiple of any alignment.
    private static final long BASE = 0x2001;

    /// A pool, and who has pages in it.
    private static final class Pool {
        final PfnRange bounds;
        final ExtentMap free;
        final List<PoolView.Occupant> occupants = new ArrayList<>();

        Pool(long npages) {
            bounds = new PfnRange(BASE, npages);
            free = new ExtentMap(bounds);
        }

        Pool device(int n, MdevType.Demand demand, FitReport.Reason reason, PfnRange... extents) {
            for (PfnRange extent : extents) {
                free.remove(extent);
            }
            occupants.add(
                    new PoolView.Occupant(
                            new FitReport.Blocker(
                                    Optional.of(new UUID(0, n)), demand.npages(), reason, ""),
                            List.of(extents),
                            Optional.of(demand)));
            return this;
        }

        Pool idle(int n, long firstPage, long npages) {
            return device(
                    n,
                    run(npages, 1),
                    FitReport.Reason.IDLE,
                    new PfnRange(BASE + firstPage, npages));
        }

        Pool nobodys(FitReport.Reason reason, long firstPage, long npages) {
            PfnRange pfns = new PfnRange(BASE + firstPage, npages);
            free.remove(pfns);
            occupants.add(
                    new PoolView.Occupant(
                            new FitReport.Blocker(Optional.empty(), npages, reason, ""),
                            List.of(pfns),
                            Optional.empty()));
            return this;
        }

        DefragPlanner planner(MdevType.Demand demand) {
            return new DefragPlanner(new PoolView("vram", free.copy(), occupants), demand);
        }
    }

    private static MdevType.Demand run(long npages, long alignPages) {
        return new MdevType.Demand("vram", npages, alignPages, true);
    }

    private static DefragPlan.Move move(int n, PfnRange from, long toPage) {
        return new DefragPlan.Move(
                new UUID(0, n),
                "vram",
                List.of(from),
                List.of(new PfnRange(BASE + toPage, from.npages())));
    }

    @Test
    void whoIsInTheMiddleMovesToTheLowestPlaceOutsideOfTheRoom() {
        Pool pool = new Pool(8).idle(1, 3, 1).idle(2, 6, 1);

        assertThat(pool.planner(run(6, 1)).plan())
                .contains(List.of(move(1, new PfnRange(BASE + 3, 1), 7)));
    }

    @Test
    void theRoomIsMadeWhereTheFewestPagesMove() {
        Pool pool = new Pool(16).idle(1, 1, 3).idle(2, 9, 1).idle(3, 14, 1);

        assertThat(pool.planner(run(8, 8)).plan().orElseThrow())
                .extracting(DefragPlan.Move::uuid)
                .containsExactly(new UUID(0, 2), new UUID(0, 3));
    }

    @Test
    void whoIsAssignedOrCannotMoveIsLeftWhereItIs() {
        for (FitReport.Reason reason : FitReport.Reason.values()) {
            Pool pool =
                    new Pool(8)
                            .device(1, run(1, 1), reason, new PfnRange(BASE + 1, 1))
                            .device(2, run(1, 1), reason, new PfnRange(BASE + 5, 1));
            assertThat(pool.planner(run(4, 4)).plan().isPresent())
                    .as("%s", reason)
                    .isEqualTo(reason == FitReport.Reason.IDLE);
        }
    }

    @Test
    void pagesThatAreNobodysAreInTheWayToo() {
        Pool pool =
                new Pool(8)
                        .nobodys(FitReport.Reason.QUARANTINED, 1, 1)
                        .nobodys(FitReport.Reason.SCRUBBING, 5, 1);

        assertThat(pool.planner(run(4, 4)).plan()).isEmpty();
        assertThat(pool.planner(run(4, 4)).blockers())
                .extracting(FitReport.Blocker::reason)
                .hasSize(1);
    }

    /// A device that moves out of the room leaves pages beside it, which the next one may get.
    @Test
    void whatAMovedDeviceLeavesOutsideOfTheRoomIsRoomForTheNext() {
        MdevType.Demand two = new MdevType.Demand("vram", 2, 1, false);
        Pool pool =
                new Pool(7)
                        .device(
                                1,
                                two,
                                FitReport.Reason.IDLE,
                                new PfnRange(BASE + 3, 1),
                                new PfnRange(BASE + 4, 1))
                        .idle(2, 1, 1);

        List<DefragPlan.Move> moves = pool.planner(run(4, 4)).plan().orElseThrow();

        assertThat(moves)
                .containsExactly(
                        new DefragPlan.Move(
                                new UUID(0, 1),
                                "vram",
                                List.of(new PfnRange(BASE + 3, 1), new PfnRange(BASE + 4, 1)),
                                List.of(new PfnRange(BASE + 5, 2))),
                        move(2, new PfnRange(BASE + 1, 1), 4));
    }

    @Test
    void aRoomAtTheVeryEndOfThePoolIsFound() {
        Pool pool =
                new Pool(8)
                        .device(1, run(3, 1), FitReport.Reason.ASSIGNED, new PfnRange(BASE + 1, 3))
                        .idle(2, 6, 1);

        assertThat(pool.planner(run(4, 1)).plan())
                .contains(List.of(move(2, new PfnRange(BASE + 6, 1), 0)));
    }

    @Test
    void theBlockersAreThoseOfThePlaceThatIsEasiestToClear() {
        Pool pool =
                new Pool(12)
                        .device(
                                1,
                                run(1, 1),
                                FitReport.Reason.NOT_MOVABLE,
                                new PfnRange(BASE + 1, 1))
                        .device(2, run(2, 1), FitReport.Reason.ASSIGNED, new PfnRange(BASE + 5, 2))
                        .device(3, run(3, 1), FitReport.Reason.ASSIGNED, new PfnRange(BASE + 8, 3));

        assertThat(pool.planner(run(4, 4)).blockers())
                .extracting(blocker -> blocker.uuid().orElseThrow())
                .containsExactly(new UUID(0, 2));
    }

    @Test
    void whatIsLargerThanThePoolHasNoPlaceAndNobodyInTheWay() {
        Pool pool = new Pool(8).idle(1, 3, 1);

        assertThat(pool.planner(run(16, 1)).plan()).isEmpty();
        assertThat(pool.planner(run(16, 1)).blockers()).isEmpty();
    }

    /// Random pools: the moves of a plan are possible in their order, each device keeps what its
    /// type demands and is copied to pages that are not its own, and the demand fits at the end.
    @Test
    void everyPlanWorks() {
        int[] plans = new int[1];
        Seeded.run(
                2000,
                random -> {
                    Pool pool = randomPool(random);
                    long align = 1L << random.nextInt(3);
                    MdevType.Demand demand = run(align * random.nextInt(1, 5), align);
                    Optional<List<DefragPlan.Move>> plan = pool.planner(demand).plan();
                    if (plan.isPresent()) {
                        plans[0]++;
                        carryOut(pool, plan.get());
                        assertThat(pool.free.take(demand)).as("%s fits", demand).isPresent();
                    }
                });
        if (Long.getLong("mdev.seed") == null) {
            assertThat(plans[0]).as("the pools are such that plans are found").isPositive();
        }
    }

    private static Pool randomPool(SplittableRandom random) {
        Pool pool = new Pool(random.nextInt(6, 28));
        ExtentMap probe = new ExtentMap(pool.bounds);
        for (int n = random.nextInt(1, 7); n > 0; n--) {
            long align = 1L << random.nextInt(2);
            MdevType.Demand demand =
                    new MdevType.Demand(
                            "vram", align * random.nextInt(1, 3), align, random.nextBoolean());
            // Where it happens to be, not where it would be put first.
            long skipped = random.nextInt(4);
            Optional<List<PfnRange>> hole =
                    skipped == 0 ? Optional.empty() : probe.take(run(skipped, 1));
            Optional<List<PfnRange>> place = probe.take(demand);
            hole.ifPresent(extents -> extents.forEach(probe::put));
            if (place.isPresent()) {
                FitReport.Reason reason =
                        random.nextInt(5) == 0 ? FitReport.Reason.ASSIGNED : FitReport.Reason.IDLE;
                pool.device(n, demand, reason, place.get().toArray(PfnRange[]::new));
            }
        }
        return pool;
    }

    private static void carryOut(Pool pool, List<DefragPlan.Move> moves) {
        for (DefragPlan.Move move : moves) {
            PoolView.Occupant device =
                    pool.occupants.stream()
                            .filter(one -> one.uuid().equals(move.uuid()))
                            .findFirst()
                            .orElseThrow();
            MdevType.Demand demand = device.demand().orElseThrow();
            assertThat(device.blocker().reason()).isEqualTo(FitReport.Reason.IDLE);
            assertThat(move.from()).isEqualTo(device.extents());
            assertThat(move.npages()).isEqualTo(demand.npages());
            assertThat(move.to().stream().mapToLong(PfnRange::npages).sum())
                    .isEqualTo(demand.npages());
            assertThat(demand.contiguous() && move.to().size() != 1).isFalse();
            for (PfnRange to : move.to()) {
                assertThat((to.firstPfn() - BASE) % demand.alignPages()).isZero();
                assertThat(to.npages() % demand.alignPages()).isZero();
                // Fails unless they are free, so that they are not the device's own either.
                pool.free.remove(to);
            }
            move.from().forEach(pool.free::put);
        }
    }
}
