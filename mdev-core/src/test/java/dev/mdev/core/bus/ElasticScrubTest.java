package dev.mdev.core.bus;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Page;
import dev.mdev.core.elastic.DeviceMemory;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.store.CrashPlan;
import dev.mdev.core.store.MemoryFiles;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;

/// Pages of a card that do not become clean between two devices.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class ElasticScrubTest {
    private static final int PAGES = 32;
    private static final int MIN = 8;
    private static final int MAX = 24;
    private static final long FIRST_PFN = 0x4000;

    private final List<MdevEvent> events = new CopyOnWriteArrayList<>();
    private final Vram vram = new Vram(PAGES);
    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final MdevBus bus =
            new MdevBus(
                    memory,
                    new MemoryFiles(),
                    BusOptions.of(
                            Deadlines.HANG,
                            new MdevObserver() {
                                @Override
                                public void event(MdevEvent event) {
                                    events.add(event);
                                }
                            }));

    ElasticScrubTest() {
        bus.addDriver(
                new ElasticDriver(
                        ElasticDriver.type(MIN, MAX, 4), vram.mapped(FIRST_PFN, new CrashPlan())),
                Map.of());
    }

    @AfterEach
    void stop() {
        bus.close();
        memory.close();
    }

    private DeviceMemory create() {
        return bus.create(UUID.randomUUID(), "gpu0", "elastic").elastic().getFirst();
    }

    private static void store(DeviceMemory device, long value) {
        for (int page = 0; page < MAX; page++) {
            device.store(Page.addressOf(page), 8, value + page);
        }
    }

    private static void require(DeviceMemory device, long value) {
        for (int page = 0; page < MAX; page++) {
            assertThat(device.load(Page.addressOf(page), 8)).isEqualTo(value + page);
        }
    }

    @Test
    void aPageThatKeepsItsContentIsQuarantinedAndNoOtherDeviceGetsIt() {
        DeviceMemory first = create();
        store(first, 100);
        for (int page = 0; page < 4; page++) {
            vram.stick((int) (first.pfnOf(page).orElseThrow() - FIRST_PFN));
        }

        DeviceMemory second = create();
        store(second, 1000);

        require(first, 100);
        require(second, 1000);
        assertThat(events)
                .extracting(MdevEvent::fact)
                .anyMatch(fact ->
                        fact instanceof MdevEvent.PagesQuarantined bad
                                && bad.reason().contains("eviction"));
        assertThat(second.usage().heldPages()).isGreaterThanOrEqualTo(MIN);
    }
}
