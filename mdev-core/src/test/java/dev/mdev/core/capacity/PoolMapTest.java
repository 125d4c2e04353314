package dev.mdev.core.capacity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.PoolShare;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.support.Seeded;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.UUID;

/// [PoolMap] against a tenant a page, and what [Capacity] makes of several pools.
class PoolMapTest {
    private static final long BASE = 0x5001;
    private static final Tenant SCRUBBING = new Tenant.Scrubbing();
    private static final Tenant ONE = new Tenant.Device(new UUID(0, 1));
    private static final Tenant TWO = new Tenant.Device(new UUID(0, 2));
    private static final List<Tenant> TENANTS = List.of(ONE, TWO, SCRUBBING, new Tenant.Bad());

    @Test
    void everyPageHasTheTenantThatItWasGivenLast() {
        Seeded.run(
                300,
                random -> {
                    int pages = random.nextInt(2, 32);
                    PoolMap map = new PoolMap("vram", new PfnRange(BASE, pages));
                    @Nullable Tenant[] tenants = new Tenant[pages];
                    for (int step = 0; step < 80; step++) {
                        change(random, map, tenants);
                        compare(map, tenants);
                    }
                });
    }

    private static void change(SplittableRandom random, PoolMap map, @Nullable Tenant[] tenants) {
        int first = random.nextInt(tenants.length);
        int end = random.nextInt(first + 1, Math.min(first + 6, tenants.length) + 1);
        PfnRange range = new PfnRange(BASE + first, end - first);
        Tenant before = tenants[first];
        for (int i = first; i < end; i++) {
            if (!Objects.equals(tenants[i], before)) {
                return;
            }
        }
        Tenant next = TENANTS.get(random.nextInt(TENANTS.size()));
        if (before == null) {
            map.takeAt(range, next);
            Arrays.fill(tenants, first, end, next);
        } else if (random.nextBoolean()) {
            map.release(range, before);
            Arrays.fill(tenants, first, end, null);
        } else {
            map.pass(range, before, next);
            Arrays.fill(tenants, first, end, next);
        }
    }

    private static void compare(PoolMap map, @Nullable Tenant[] tenants) {
        assertThat(map.isTiled()).isTrue();
        @Nullable Tenant[] found = new Tenant[tenants.length];
        for (PoolMap.Taken taken : map.taken()) {
            PfnRange pfns = taken.pfns();
            Arrays.fill(
                    found,
                    (int) (pfns.firstPfn() - BASE),
                    (int) (pfns.endPfn() - BASE),
                    taken.tenant());
        }
        assertThat(found).isEqualTo(tenants);
        long next = 0;
        for (PoolExtent extent : map.extents()) {
            assertThat(extent.firstPage()).as("without gaps").isEqualTo(next);
            assertThat(extent).isEqualTo(expected(extent, tenants[(int) next]));
            next += extent.npages();
        }
        assertThat(next).isEqualTo(tenants.length);
    }

    private static PoolExtent expected(PoolExtent extent, @Nullable Tenant tenant) {
        PoolExtent.Use use =
                switch (tenant) {
                    case null -> PoolExtent.Use.FREE;
                    case Tenant.Device _ -> PoolExtent.Use.DEVICE;
                    case Tenant.Shared _ -> PoolExtent.Use.SHARED;
                    case Tenant.Scrubbing _ -> PoolExtent.Use.SCRUBBING;
                    case Tenant.Bad _ -> PoolExtent.Use.QUARANTINED;
                };
        Optional<UUID> uuid =
                tenant instanceof Tenant.Device device
                        ? Optional.of(device.uuid())
                        : Optional.empty();
        return new PoolExtent(extent.firstPage(), extent.npages(), use, uuid);
    }

    @Test
    void theWrongTenantChangesNothing() {
        PoolMap map = new PoolMap("vram", new PfnRange(BASE, 8));
        map.takeAt(new PfnRange(BASE, 4), ONE);

        assertThatThrownBy(() -> map.release(new PfnRange(BASE, 2), TWO))
                .isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> map.pass(new PfnRange(BASE, 2), TWO, SCRUBBING))
                .isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> map.takeAt(new PfnRange(BASE + 3, 2), TWO))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EINVAL));

        assertThat(map.isTiled()).isTrue();
        assertThat(map.taken()).containsExactly(new PoolMap.Taken(new PfnRange(BASE, 4), ONE));
    }

    @Test
    void pagesThatAreTakenByPlaceAreTakenAllOrNot() {
        Capacity capacity = twoPools();
        capacity.allocateAt(List.of(share("b", 105, 1)), TWO);

        assertThatThrownBy(() ->
                        capacity.allocateAt(List.of(share("a", 2, 2), share("b", 104, 2)), ONE))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EINVAL));

        assertThat(capacity.pagesOf(ONE)).isEmpty();
        assertThat(capacity.usage()).extracting(PoolUsage::freePages).containsExactly(8L, 7L);
        capacity.allocateAt(List.of(share("a", 2, 2), share("b", 102, 2)), ONE);
        assertThat(capacity.pagesOf(ONE)).containsExactly(new PfnRange(2, 2), new PfnRange(102, 2));
    }

    @Test
    void ofARangeOverSeveralPoolsTheFreePagesAreTaken() {
        Capacity capacity = twoPools();
        capacity.allocateAt(List.of(share("a", 2, 2), share("b", 100, 1)), ONE);

        List<PfnRange> taken = capacity.takeFree(new PfnRange(1, 101), SCRUBBING);

        assertThat(taken)
                .containsExactly(new PfnRange(1, 1), new PfnRange(4, 4), new PfnRange(101, 1));
        assertThat(capacity.pagesOf(SCRUBBING)).isEqualTo(taken);
        assertThat(capacity.usage()).extracting(PoolUsage::freePages).containsExactly(1L, 6L);
    }

    @Test
    void allPagesOfATenantPassToAnother() {
        Capacity capacity = twoPools();
        List<PoolShare> mine = new ArrayList<>(List.of(share("a", 0, 2), share("b", 104, 3)));
        capacity.allocateAt(mine, ONE);
        capacity.allocateAt(List.of(share("a", 4, 1)), TWO);

        assertThat(capacity.passAll(ONE, SCRUBBING))
                .containsExactly(new PfnRange(0, 2), new PfnRange(104, 3));

        assertThat(capacity.pagesOf(ONE)).isEmpty();
        assertThat(capacity.devices()).containsExactly(new UUID(0, 2));
        assertThat(capacity.pagesOf(SCRUBBING)).hasSize(2);
    }

    @Test
    void whatDoesNotFitIsExplainedWithThePoolThatIsShort() {
        Capacity capacity = twoPools();
        MdevType type =
                new MdevType(
                        "t",
                        "t",
                        "t",
                        MdevType.VFIO_PCI,
                        List.of(
                                new MdevType.Demand("a", 2, 1, true),
                                new MdevType.Demand("b", 8, 8, true)),
                        10);
        assertThat(capacity.explain(type)).isEmpty();
        capacity.allocateAt(List.of(share("b", 107, 1)), ONE);

        assertThat(capacity.explain(type))
                .hasValueSatisfying(reason ->
                        assertThat(reason)
                                .contains("pool=b", "8 pages in one extent", "7 are free"));
        assertThat(capacity.available(type, 10)).isZero();
        assertThat(capacity.usage().getFirst().freePages()).as("a question").isEqualTo(8);
    }

    @Test
    void twoPoolsOfOneNameAreRefused() {
        assertThatThrownBy(() ->
                        new Capacity(
                                List.of(
                                        new ResourcePool("a", new PfnRange(0, 8)),
                                        new ResourcePool("a", new PfnRange(8, 8)))))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EINVAL));
    }

    private static Capacity twoPools() {
        return new Capacity(
                List.of(
                        new ResourcePool("a", new PfnRange(0, 8)),
                        new ResourcePool("b", new PfnRange(100, 8))));
    }

    private static PoolShare share(String pool, long firstPfn, long npages) {
        return new PoolShare(pool, List.of(new PfnRange(firstPfn, npages)));
    }
}
