package dev.mdev.core.bus;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Page;
import dev.mdev.core.elastic.DeviceMemory;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.store.CrashPlan;
import dev.mdev.core.store.CrashingFiles;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.UUID;

/// Two devices that take pages from each other, ended by a crash at every step with an effect
/// outside the process. The next process finds no page with content, and every minimum.
@Tag("slow")
final class ElasticCrashTest {
    private static final int PAGES = 24;
    private static final int MIN = 8;
    private static final int USED = 14;

    /// One process of the host.
    private record Host(HostMemory memory, MdevBus bus) {
        static Host start(CrashingFiles.Disk disk, Vram vram, CrashPlan plan) {
            HostMemory memory = new HostMemory(new OffHeapBackend());
            MdevBus bus =
                    new MdevBus(
                            memory,
                            new CrashingFiles(disk, plan),
                            BusOptions.of(Deadlines.HANG, MdevObserver.NONE));
            bus.addDriver(
                    new ElasticDriver(
                            ElasticDriver.type(MIN, 20, 3), vram.mapped(Card.takePfns(), plan)),
                    Map.of());
            return new Host(memory, bus);
        }

        DeviceMemory create() {
            return bus.create(UUID.randomUUID(), "gpu0", "elastic").elastic().getFirst();
        }

        void leave() {
            bus.context().watch().close();
            memory.close();
        }
    }

    private static void work(Host host) {
        DeviceMemory first = host.create();
        DeviceMemory second = host.create();
        for (DeviceMemory memory : List.of(first, second, first)) {
            for (int page = 0; page < USED; page++) {
                memory.store(Page.addressOf(page), 8, 0x5A5A_5A5AL + page);
            }
        }
    }

    @Test
    void aCrashAtAnyStepLeavesNoPageOfADeviceToAnother() {
        SplittableRandom random = new SplittableRandom(1);
        boolean crashed = true;
        int steps = 0;
        for (int step = 0; crashed; step++) {
            CrashingFiles.Disk disk = new CrashingFiles.Disk(random.split());
            Vram vram = new Vram(PAGES);
            CrashPlan plan = new CrashPlan();
            Host host = Host.start(disk, vram, plan);
            plan.crashAfter(step);
            crashed = !plan.survives(() -> work(host));
            host.leave();
            requireClean(disk, vram, step);
            steps = step;
        }
        assertThat(steps).as("steps with an effect outside the process").isGreaterThan(50);
    }

    private static void requireClean(CrashingFiles.Disk disk, Vram vram, int step) {
        Host next = Host.start(disk, vram, new CrashPlan());
        assertThat(vram.isZero(0, PAGES)).as("after a crash at step %d", step).isTrue();
        for (int i = 0; i < PAGES / MIN; i++) {
            assertThat(next.create().usage().heldPages()).isEqualTo(MIN);
        }
        next.bus.close();
        next.leave();
    }
}
