package dev.mdev.core.bus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.page.Page;
import dev.mdev.core.capacity.FitReport;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.elastic.ElasticOptions;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.store.MemoryFiles;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/// Who would be asked for pages, so that one more device with an elastic share fits.
final class ElasticExplainTest {
    private static final int PAGES = 24;
    private static final int MIN = 8;

    private static final MdevType BLOCK =
            new MdevType(
                    "block",
                    "Block",
                    "12 pages in one piece",
                    MdevType.VFIO_PCI,
                    List.of(new MdevType.Demand("vram", PAGES / 2, 1, true)),
                    1);

    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final MdevBus bus =
            new MdevBus(
                    memory,
                    new MemoryFiles(),
                    new BusOptions(
                            Deadlines.HANG,
                            Deadlines.HANG,
                            MdevObserver.NONE,
                            16,
                            ElasticOptions.DEFAULT,
                            Map.of(
                                    "tight0",
                                    new ElasticOptions(
                                            Duration.ZERO, 1, Optional.empty(), 1 << 20, false))));

    ElasticExplainTest() {
        bus.addDriver(
                new ElasticDriver(
                        List.of(ElasticDriver.type(MIN, 20, 16), BLOCK),
                        List.of("gpu0", "tight0"),
                        (host, card) -> host.allocateAperture(card, PAGES)),
                Map.of());
    }

    @AfterEach
    void stop() {
        bus.close();
        memory.close();
    }

    private Mdev create(String parent, int usedPages) {
        Mdev mdev = bus.create(UUID.randomUUID(), parent, "elastic");
        for (int page = 0; page < usedPages; page++) {
            mdev.elastic().getFirst().store(Page.addressOf(page), 8, page + 1L);
        }
        return mdev;
    }

    @Test
    void whoHasTheMostAboveItsMinimumIsNamed() {
        Mdev small = create("gpu0", 1);
        Mdev large = create("gpu0", 16);
        long free = bus.parent("gpu0").usage().getFirst().freePages();
        assertThat(free).isLessThan(MIN);

        FitReport report = bus.explain("gpu0", "elastic");

        assertThat(report.fits()).isTrue();
        assertThat(report.givers())
                .containsExactly(new FitReport.Giver(large.uuid(), "vram", MIN - free));
        assertThat(report.text()).contains("fits").contains((MIN - free) + " pages");
        Mdev third = create("gpu0", 1);
        assertThat(third.elastic().getFirst().usage().heldPages()).isEqualTo(MIN);
        assertThat(small.elastic().getFirst().load(0, 8)).isEqualTo(1);
        assertThat(large.elastic().getFirst().load(Page.addressOf(15), 8)).isEqualTo(16);
    }

    @Test
    void nobodyIsAskedWhereOnlyMinimumsAreLeft() {
        for (int i = 0; i < PAGES / MIN; i++) {
            create("gpu0", 1);
        }
        FitReport report = bus.explain("gpu0", "elastic");
        assertThat(report.fits()).isFalse();
        assertThat(report.givers()).isEmpty();
        assertThat(report.shortages()).hasSize(1);
    }

    @Test
    void guaranteedPagesAreNamedWhereTheyAreInTheWayAndNoPlanMovesThem() {
        Mdev first = create("gpu0", 1);
        Mdev second = create("gpu0", 12);
        bus.remove(first.uuid());
        // It keeps its first eight pages, in the middle of the card.
        second.elastic().getFirst().discard(MIN, 12 - MIN);
        assertThat(bus.parent("gpu0").usage().getFirst().freePages()).isEqualTo(PAGES - MIN);

        FitReport report = bus.explain("gpu0", "block");

        assertThat(report.fits()).isFalse();
        assertThat(report.plan()).isEmpty();
        assertThat(report.shortages().getFirst().isFragmentation()).isTrue();
        assertThat(report.shortages().getFirst().blockers())
                .containsExactly(
                        new FitReport.Blocker(
                                Optional.of(second.uuid()),
                                MIN,
                                FitReport.Reason.ELASTIC,
                                "8 pages guaranteed, 0 can be taken back"));
        assertThat(report.text()).contains("8 pages ELASTIC (8 pages guaranteed");
    }

    @Test
    void eachParentHasItsOwnLimitOfOvercommitment() {
        create("tight0", 1);
        assertThatThrownBy(() -> create("tight0", 1))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EUSERS))
                .hasMessageContaining("overcommitted");
        create("gpu0", 1);
        create("gpu0", 1);
    }
}
