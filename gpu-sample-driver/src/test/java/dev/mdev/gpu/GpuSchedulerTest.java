package dev.mdev.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.mdev.api.testkit.InMemoryHost;
import dev.mdev.gpu.GpuGuest.Rows;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/// How the engine is shared: counted in units of work and rounds, never in time.
final class GpuSchedulerTest {
    private final InMemoryHost host = new InMemoryHost(new GpuParentDriver(false), Map.of());
    private final Engine engine = ((GpuParent) host.parent().device()).engine();

    @AfterEach
    void close() {
        host.close();
    }

    private GpuGuest device(int mib) {
        GpuGuest guest = new GpuGuest(host.parent().create("gpu-sample-" + mib + "m"));
        guest.start();
        return guest;
    }

    /// Keeps the ring full of work.
    private static void feed(GpuGuest guest, SplittableRandom random) {
        while (guest.pending() < GpuGuest.RING_ENTRIES) {
            guest.put(GpuGuest.fill(random.nextInt(), Rows.of(0, 1 + random.nextLong(300_000))));
        }
        guest.ring();
    }

    private static long units(GpuGuest guest) {
        return guest.queueLong(QueueState.WORK_UNITS);
    }

    @Test
    void weightsOfOneTwoAndFourGetTheirShares() {
        SplittableRandom random = new SplittableRandom(host.seed());
        List<GpuGuest> guests = List.of(device(16), device(32), device(64));
        for (int round = 0; round < 400; round++) {
            guests.forEach(guest -> feed(guest, random));
            engine.runRound();
        }
        double one = units(guests.getFirst());
        assertThat(units(guests.get(1)) / one).isCloseTo(2, within(0.05 * 2));
        assertThat(units(guests.get(2)) / one).isCloseTo(4, within(0.05 * 4));
        assertThat(guests.get(2).queue(QueueState.WEIGHT)).isEqualTo(4);
    }

    @Test
    void oneHugeCommandOfOneDoesNotKeepTheOthersWaiting() {
        GpuGuest huge = device(16);
        GpuGuest small = device(16);
        huge.put(GpuGuest.fill(1, Rows.of(0, 16 << 20)));
        huge.ring();
        engine.runRound();
        small.put(GpuGuest.fence(7));
        small.ring();
        engine.runRound();
        assertThat(small.queueLong(QueueState.FENCE)).isEqualTo(7);
        assertThat(huge.queue(QueueState.STATUS)).isEqualTo(5);
        assertThat(units(huge)).isBetween(2 * Engine.SLICE_UNITS - 16, 2 * Engine.SLICE_UNITS + 16);
    }

    @Test
    void nobodySavesUpWhileIdle() {
        SplittableRandom random = new SplittableRandom(host.seed());
        GpuGuest busy = device(16);
        GpuGuest late = device(16);
        for (int round = 0; round < 100; round++) {
            feed(busy, random);
            engine.runRound();
        }
        for (int round = 0; round < 10; round++) {
            feed(busy, random);
            feed(late, random);
            engine.runRound();
        }
        assertThat(units(late)).isLessThan(11 * Engine.SLICE_UNITS);
    }

    /// A device that is alone gets all of the engine; a flood of bad commands beside it costs it
    /// less than a tenth.
    @Test
    void aFloodOfBadCommandsHardlyTouchesTheOthers() {
        long[] alone = throughput(false);
        long[] flooded = throughput(true);
        assertThat((double) flooded[0]).isGreaterThan(0.9 * alone[0]);
        assertThat(flooded[1]).as("bad commands that stopped the queue").isGreaterThan(100);
        // What the flood takes of the engine is bounded by its share too, in units: a queue that
        // stopped is out of the round.
        assertThat((double) flooded[2]).isLessThan(0.1 * flooded[0]);
    }

    /// @return the victim's units in 200 rounds; errors and units of the device that floods
    private long[] throughput(boolean flood) {
        SplittableRandom random = new SplittableRandom(host.seed());
        GpuGuest victim = device(32);
        GpuGuest flooder = device(16);
        for (int round = 0; round < 200; round++) {
            feed(victim, random);
            if (flood) {
                flooder.start();
                byte[] garbage = new byte[Command.SIZE];
                Arrays.fill(garbage, (byte) random.nextInt(1, 256));
                flooder.putRaw(garbage);
                flooder.ring();
            }
            engine.runRound();
        }
        long[] result = {
            units(victim), flooder.mdev().counters().get("engine_errors"), units(flooder)
        };
        victim.mdev().close();
        flooder.mdev().close();
        return result;
    }

    /// Commands that move nothing are not free.
    @Test
    void emptyCommandsCountAsWork() {
        SplittableRandom random = new SplittableRandom(host.seed());
        GpuGuest worker = device(16);
        GpuGuest idler = device(16);
        for (int round = 0; round < 100; round++) {
            feed(worker, random);
            while (idler.pending() < GpuGuest.RING_ENTRIES) {
                idler.put(GpuGuest.nop());
            }
            idler.ring();
            engine.runRound();
        }
        assertThat(units(idler)).isLessThanOrEqualTo(100 * Engine.SLICE_UNITS + 16);
        assertThat(units(worker)).isGreaterThan(99 * Engine.SLICE_UNITS);
    }
}
