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

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.UUID;

/// [Capacity] against a bit per page, and against a packer that tries everything.
@Tag("slow")
class CapacityModelTest {
    private static final long BASE = 0x100;

    private static MdevType type(MdevType.Demand... demands) {
        return new MdevType("t", "t", "t", MdevType.VFIO_PCI, List.of(demands), 1000);
    }

    private static MdevType.Demand randomDemand(SplittableRandom random, String pool) {
        long align = 1L << random.nextInt(3);
        return new MdevType.Demand(pool, align * random.nextInt(1, 4), align, random.nextBoolean());
    }

    /// The most devices that fit into the free pages, found by trying every place.
    private static int mostThatFit(BitSet free, int pages, MdevType.Demand demand) {
        int align = (int) demand.alignPages();
        int need = (int) demand.npages();
        if (!demand.contiguous()) {
            int units = 0;
            for (int unit = 0; unit + align <= pages; unit += align) {
                units += free.nextClearBit(unit) >= unit + align ? 1 : 0;
            }
            return units / (need / align);
        }
        int[] most = new int[pages + 1];
        for (int end = 1; end <= pages; end++) {
            most[end] = most[end - 1];
            int start = end - need;
            if (start >= 0 && start % align == 0 && free.nextClearBit(start) >= end) {
                most[end] = Math.max(most[end], most[start] + 1);
            }
        }
        return most[pages];
    }

    @Test
    void agreesWithAPackerThatTriesEverythingAndLosesNoPage() {
        Seeded.run(
                300,
                random -> {
                    int pages = random.nextInt(8, 40);
                    PfnRange bounds = new PfnRange(BASE, pages);
                    Capacity capacity = new Capacity(List.of(new ResourcePool("p", bounds)));
                    BitSet free = new BitSet();
                    free.set(0, pages);
                    Map<UUID, List<PoolShare>> held = new HashMap<>();
                    for (int step = 0; step < 60; step++) {
                        MdevType.Demand demand = randomDemand(random, "p");
                        MdevType type = type(demand);
                        int most = mostThatFit(free, pages, demand);
                        assertThat(capacity.available(type, 1000)).as("%s", demand).isEqualTo(most);
                        assertThat(capacity.explain(type).isEmpty()).isEqualTo(most > 0);
                        if (random.nextInt(3) > 0) {
                            allocate(capacity, type, most > 0, free, held);
                        } else if (!held.isEmpty()) {
                            UUID uuid =
                                    new ArrayList<>(held.keySet()).get(random.nextInt(held.size()));
                            List<PoolShare> share = Objects.requireNonNull(held.remove(uuid));
                            capacity.release(share, new Tenant.Device(uuid));
                            bits(share).stream().forEach(free::set);
                        }
                        PoolUsage usage = capacity.usage().getFirst();
                        assertThat(usage.freePages()).isEqualTo(free.cardinality());
                        assertThat(usage.largestFreePages()).isEqualTo(longestRun(free));
                        assertThat(usage.totalPages()).isEqualTo(pages);
                    }
                });
    }

    private static void allocate(
            Capacity capacity,
            MdevType type,
            boolean fits,
            BitSet free,
            Map<UUID, List<PoolShare>> held) {
        UUID uuid = UUID.randomUUID();
        MdevType.Demand demand = type.demands().getFirst();
        if (!fits) {
            assertThatThrownBy(() -> capacity.allocate(type, new Tenant.Device(uuid)))
                    .isInstanceOfSatisfying(
                            MdevException.class,
                            e -> assertThat(e.errno()).isEqualTo(Errno.EUSERS));
            return;
        }
        List<PoolShare> share = capacity.allocate(type, new Tenant.Device(uuid));
        assertThat(share).hasSize(1);
        BitSet mine = bits(share);
        assertThat(mine.cardinality()).isEqualTo((int) demand.npages());
        mine.stream().forEach(page -> assertThat(free.get(page)).as("was free").isTrue());
        for (PfnRange extent : share.getFirst().extents()) {
            assertThat((extent.firstPfn() - BASE) % demand.alignPages()).isZero();
            assertThat(extent.npages() % demand.alignPages()).isZero();
        }
        if (demand.contiguous()) {
            assertThat(share.getFirst().extents()).hasSize(1);
        }
        free.andNot(mine);
        held.put(uuid, share);
    }

    private static BitSet bits(List<PoolShare> shares) {
        BitSet bits = new BitSet();
        for (PoolShare share : shares) {
            for (PfnRange extent : share.extents()) {
                int first = (int) (extent.firstPfn() - BASE);
                assertThat(bits.get(first, first + (int) extent.npages()).isEmpty()).isTrue();
                bits.set(first, first + (int) extent.npages());
            }
        }
        return bits;
    }

    private static long longestRun(BitSet bits) {
        long longest = 0;
        for (int first = bits.nextSetBit(0); first >= 0; ) {
            int end = bits.nextClearBit(first);
            longest = Math.max(longest, end - first);
            first = bits.nextSetBit(end);
        }
        return longest;
    }

    @Test
    void aTypeOfSeveralPoolsGetsAllOrNothing() {
        Capacity capacity =
                new Capacity(
                        List.of(
                                new ResourcePool("a", new PfnRange(0, 8)),
                                new ResourcePool("b", new PfnRange(100, 2))));
        MdevType type =
                type(new MdevType.Demand("a", 2, 1, true), new MdevType.Demand("b", 1, 1, true));
        Tenant one = new Tenant.Device(UUID.randomUUID());
        capacity.allocate(type, one);
        capacity.allocate(type, one);
        assertThat(capacity.available(type, 10)).isZero();

        assertThatThrownBy(() -> capacity.allocate(type, one)).hasMessageContaining("pool=b");

        assertThat(capacity.usage().getFirst().freePages()).isEqualTo(4);
    }

    @Test
    void pagesAreOnlyGivenBackByWhoHasThem() {
        Capacity capacity = new Capacity(List.of(new ResourcePool("a", new PfnRange(0, 8))));
        MdevType type = type(new MdevType.Demand("a", 2, 1, true));
        Tenant one = new Tenant.Device(UUID.randomUUID());
        Tenant two = new Tenant.Device(UUID.randomUUID());
        List<PoolShare> share = capacity.allocate(type, one);

        assertThatThrownBy(() -> capacity.release(share, two))
                .isInstanceOf(IllegalStateException.class);
        capacity.release(share, one);
        assertThatThrownBy(() -> capacity.release(share, one))
                .isInstanceOf(IllegalStateException.class);
    }

    @Test
    void quarantinedPagesAreInNobodysReach() {
        Capacity capacity = new Capacity(List.of(new ResourcePool("a", new PfnRange(0, 8))));
        Tenant one = new Tenant.Device(UUID.randomUUID());
        MdevType all = type(new MdevType.Demand("a", 8, 1, true));
        List<PoolShare> share = capacity.allocate(all, one);
        capacity.pass(new PfnRange(3, 1), one, new Tenant.Bad());
        capacity.releasePages(new PfnRange(0, 3), one);
        capacity.releasePages(new PfnRange(4, 4), one);

        assertThat(share).hasSize(1);
        assertThat(capacity.available(all, 1)).isZero();
        assertThat(capacity.available(type(new MdevType.Demand("a", 1, 1, true)), 100))
                .isEqualTo(7);
        assertThat(capacity.pagesOf(new Tenant.Bad())).containsExactly(new PfnRange(3, 1));
    }
}
