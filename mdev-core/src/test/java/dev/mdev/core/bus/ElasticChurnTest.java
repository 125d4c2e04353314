package dev.mdev.core.bus;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.capacity.PoolUsage;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.elastic.DeviceMemory;
import dev.mdev.core.elastic.ElasticOptions;
import dev.mdev.core.elastic.ElasticPool;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.store.MemoryFiles;
import dev.mdev.core.support.Seeded;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;

/// Devices that come and go while others want all pages that there are.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class ElasticChurnTest {
    private static final int PAGES = 48;
    private static final int MIN = 8;
    private static final int MAX = 40;
    private static final int ROUNDS = 40;

    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final MdevBus bus =
            new MdevBus(
                    memory,
                    new MemoryFiles(),
                    BusOptions.of(Deadlines.HANG, MdevObserver.NONE)
                            .with(
                                    new ElasticOptions(
                                            Duration.ZERO, 64, Optional.empty(), 1 << 24, false)));

    ElasticChurnTest() {
        bus.addDriver(
                new ElasticDriver(
                        List.of(ElasticDriver.type(MIN, MAX, 16)),
                        List.of("gpu0"),
                        (host, card) -> host.allocateAperture(card, PAGES)),
                Map.of());
    }

    @AfterEach
    void stop() {
        bus.close();
        memory.close();
    }

    private Mdev create() {
        return bus.create(UUID.randomUUID(), "gpu0", "elastic");
    }

    private PoolUsage usage() {
        return bus.parent("gpu0").usage().getFirst();
    }

    /// Stores to random pages, and checks what it finds there, until the device ends.
    ///
    /// @return how many words were not the device's own
    private static int work(
            DeviceMemory device, long id, SplittableRandom random, AtomicBoolean end) {
        long[] stored = new long[MAX];
        int wrong = 0;
        try {
            while (!end.get()) {
                int page = random.nextInt(MAX);
                wrong += device.load(Page.addressOf(page), Long.BYTES) == stored[page] ? 0 : 1;
                stored[page] = id << 48 | (random.nextLong() >>> 16);
                device.store(Page.addressOf(page), Long.BYTES, stored[page]);
            }
        } catch (MdevException e) {
            assertThat(e.errno()).as("%s", e).isEqualTo(Errno.ENODEV);
        }
        return wrong;
    }

    @Test
    void eachNewDeviceGetsItsMinimumAndEachOldOneReturnsAllThatItHad() {
        Seeded.run(1, this::churn);
    }

    private void churn(SplittableRandom random) {
        AtomicBoolean end = new AtomicBoolean();
        List<CompletableFuture<Integer>> workers = new ArrayList<>();
        Deque<Mdev> devices = new ArrayDeque<>();
        try {
            for (int round = 0; round < ROUNDS; round++) {
                Mdev made = create();
                devices.add(made);
                DeviceMemory share = made.elastic().getFirst();
                assertThat(share.usage().heldPages()).isGreaterThanOrEqualTo(MIN);
                long id = round + 1L;
                SplittableRandom own = random.split();
                workers.add(
                        CompletableFuture.supplyAsync(
                                () -> work(share, id, own, end),
                                task -> Thread.ofPlatform().start(task)));
                if (devices.size() == PAGES / MIN - 1) {
                    bus.remove(devices.removeFirst().uuid());
                }
            }
        } finally {
            end.set(true);
        }
        assertThat(workers.stream().mapToInt(CompletableFuture::join).sum())
                .as("words of others")
                .isZero();
        devices.forEach(mdev -> bus.remove(mdev.uuid()));
        assertThat(usage().freePages()).isEqualTo(PAGES);
        ElasticPool pool = Objects.requireNonNull(bus.parent("gpu0").elastic().get("vram"));
        assertThat(pool.store().reservedBytes()).isZero();
    }
}
