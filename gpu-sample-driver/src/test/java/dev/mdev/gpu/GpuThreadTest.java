package dev.mdev.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.gpu.GpuGuest.Rows;
import dev.mdev.testkit.InMemoryHost;
import dev.mdev.testkit.InMemoryMdev;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.locks.LockSupport;

/// The driver with its engine's thread.
final class GpuThreadTest {
    private static final int RINGS = Integer.getInteger("mdev.gpu.rings", 400);

    /// Whatever the pauses are, the engine sleeps before one of so many rings.
    private static final int SLEEP_EVERY = 40;

    private final InMemoryHost host =
            new InMemoryHost(new GpuParentDriver(), Map.of("types-mib", "1"));

    @AfterEach
    void close() {
        host.close();
    }

    private GpuGuest device() {
        GpuGuest guest = new GpuGuest(host.parent().create("gpu-sample-1m"));
        guest.start();
        return guest;
    }

    /// Pauses of all lengths, around the time after which the engine goes to sleep.
    @Test
    void noRingIsLostWhateverTheEngineIsDoing() {
        GpuGuest guest = device();
        SplittableRandom random = new SplittableRandom(host.seed());
        for (int i = 1; i <= RINGS; i++) {
            if (i % SLEEP_EVERY == 0) {
                awaitRevoked(guest.mdev());
            }
            guest.put(GpuGuest.fence(i));
            guest.ring();
            guest.mdev().interrupts().await(0, i, GpuGuest.PATIENCE);
            assertThat(guest.queueLong(QueueState.FENCE)).isEqualTo(i);
            LockSupport.parkNanos(random.nextBoolean() ? 0 : random.nextLong(12_000_000));
        }
        assertThat(guest.mdev().guest().faults()).isGreaterThanOrEqualTo(RINGS / SLEEP_EVERY);
    }

    /// An idle device has no doorbell mapped, and the ring that wakes the engine is a fault.
    @Test
    void theEngineSleepsAndTheNextRingIsAFault() {
        GpuGuest guest = device();
        for (int i = 1; i <= 3; i++) {
            long before = guest.mdev().guest().faults();
            guest.put(GpuGuest.fence(i));
            guest.ring();
            guest.mdev().interrupts().await(0, i, GpuGuest.PATIENCE);
            // More than one if the engine revokes the page again during the first answer.
            assertThat(guest.mdev().guest().faults()).isGreaterThan(before);
            awaitRevoked(guest.mdev());
        }
    }

    private static void awaitRevoked(InMemoryMdev mdev) {
        long end = System.nanoTime() + GpuGuest.PATIENCE.toNanos();
        while (mdev.isMapped(GpuGuest.QUEUE, 0)) {
            assertThat(System.nanoTime()).isLessThan(end);
            Thread.onSpinWait();
        }
    }

    /// Resets come while commands are in progress; none may store to guest memory afterwards.
    @Test
    void aResetStopsDma() {
        GpuGuest guest = device();
        InMemoryMdev mdev = guest.mdev();
        MemorySegment zero = MemorySegment.ofArray(new byte[1 << 20]);
        MemorySegment seen = MemorySegment.ofArray(new byte[1 << 20]);
        for (int i = 0; i < RINGS / 4; i++) {
            guest.start();
            guest.put(GpuGuest.fill(-1, Rows.of(0, 1 << 20)));
            guest.put(GpuGuest.copy(Command.COPY_OUT, Rows.of(0x80_0000, 1 << 20), 0, 0));
            guest.ring();
            LockSupport.parkNanos(i * 3_000L);
            mdev.reset();
            mdev.guestMemory().poke(0x80_0000, zero);
            LockSupport.parkNanos(200_000);
            mdev.guestMemory().peek(0x80_0000, seen);
            assertThat(seen.mismatch(zero)).isEqualTo(-1);
        }
    }

    /// Many devices, created and removed while all are busy.
    @Test
    void devicesComeAndGoWhileOthersWork() throws Exception {
        List<Callable<Object>> guests = new ArrayList<>();
        for (int g = 0; g < 4; g++) {
            int seed = g;
            guests.add(Executors.callable(() -> comeAndGo(new SplittableRandom(seed))));
        }
        try (ExecutorService executor = Executors.newFixedThreadPool(guests.size())) {
            for (Future<Object> done : executor.invokeAll(guests)) {
                done.get();
            }
        }
    }

    private void comeAndGo(SplittableRandom random) {
        for (int i = 0; i < RINGS / 20; i++) {
            GpuGuest guest = device();
            int fences = 1 + random.nextInt(5);
            for (int f = 1; f <= fences; f++) {
                guest.put(GpuGuest.fill(f, Rows.of(0, 1 + random.nextLong(1 << 20))));
                guest.put(GpuGuest.fence(f));
                guest.ring();
            }
            if (random.nextBoolean()) {
                guest.mdev().interrupts().await(0, fences, GpuGuest.PATIENCE);
                assertThat(guest.mdev().guest().load(GpuGuest.VRAM, 0, 1)).isEqualTo(fences);
            }
            guest.mdev().close();
        }
    }
}
