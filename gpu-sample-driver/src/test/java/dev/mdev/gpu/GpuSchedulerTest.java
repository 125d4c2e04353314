package dev.mdev.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.mdev.gpu.GpuGuest.Rows;
import dev.mdev.testkit.InMemoryHost;

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

    /// Engine time is units of work. The allowance is 5 %; the scheduler keeps to one step's
    /// overdraft in the whole time.
    @Test
    void weightsOfOneTwoAndFourGetTheirShares() {
        SplittableRandom random = new SplittableRandom(host.seed());
        List<GpuGuest> guests = List.of(device(16), device(32), device(64));
        int rounds = 400;
        for (int round = 0; round < rounds; round++) {
            guests.forEach(guest -> feed(guest, random));
            engine.runRound();
        }
        double total = guests.stream().mapToLong(GpuSchedulerTest::units).sum();
        for (int i = 0; i < guests.size(); i++) {
            int weight = 1 << i;
            assertThat(guests.get(i).queue(QueueState.WEIGHT)).isEqualTo(weight);
            double share = units(guests.get(i)) / total;
            assertThat(share).isCloseTo(weight / 7.0, within(0.05 * weight / 7.0));
            long slices = (long) rounds * weight * Engine.SLICE_UNITS;
            assertThat(units(guests.get(i)))
                    .as("seed=%d", host.seed())
                    .isBetween(slices, slices + CommandQueue.COMMAND_UNITS);
            assertThat(guests.get(i).mdev().counters())
                    .containsEntry("engine_work_units", units(guests.get(i)));
        }
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

    /// As many bad commands as a guest can send: it restarts its queue while the engine is still
    /// busy with the last one. The others' share is measured in engine time: of all units that the
    /// engine spent, how many were theirs.
    @Test
    void aFloodOfBadCommandsTakesLessThanATenthFromTheOthers() {
        SplittableRandom random = new SplittableRandom(host.seed());
        GpuGuest small = device(16);
        GpuGuest large = device(32);
        GpuGuest flooder = device(16);
        flooder.mdev().guestMemory().setBeforeAccess(() -> giveGarbage(flooder, random));
        giveGarbage(flooder, random);
        long before = units(flooder);
        int rounds = 200;
        long spent = 0;
        for (int round = 0; round < rounds; round++) {
            feed(small, random);
            feed(large, random);
            if (round % 2 == 0) {
                giveGarbage(flooder, random);
            }
            spent += engine.runRound();
        }
        long theirs = units(small) + units(large);
        // Alone they would get all of it.
        assertThat((double) theirs / spent).as("seed=%d", host.seed()).isGreaterThan(0.9);
        assertThat((double) units(large) / units(small)).isCloseTo(2, within(0.05 * 2));
        long flood = units(flooder) - before;
        assertThat(flood)
                .as("the flood went on all the time, at one command a round")
                .isEqualTo(rounds * CommandQueue.COMMAND_UNITS);
        assertThat(spent).isEqualTo(theirs + flood);
    }

    /// A guest whose commands need pages that are away gets less done, and nobody else does.
    @Test
    void whoWaitsForItsOwnPagesKeepsNobodyWaiting() {
        SplittableRandom random = new SplittableRandom(host.seed());
        GpuGuest neighbour = device(16);
        GpuGuest hog = new GpuGuest(host.parent().create("gpu-sample-elastic-64m"));
        hog.start();
        int rounds = 200;
        for (int round = 0; round < rounds; round++) {
            feed(neighbour, random);
            while (hog.pending() < GpuGuest.RING_ENTRIES) {
                long at = random.nextLong(64) << 20;
                hog.put(GpuGuest.fill(round, Rows.of(at, 1 << 20)));
            }
            hog.ring();
            engine.runRound();
        }
        long slices = rounds * Engine.SLICE_UNITS;
        assertThat(units(neighbour))
                .as("seed=%d", host.seed())
                .isBetween(slices, slices + CommandQueue.COMMAND_UNITS);
        assertThat(units(hog)).isBetween(1L, slices - 1);
        assertThat(hog.error()).isEqualTo(QueueError.NONE);
    }

    /// Restarts the queue with an invalid command.
    private static void giveGarbage(GpuGuest guest, SplittableRandom random) {
        guest.start();
        byte[] garbage = new byte[Command.SIZE];
        Arrays.fill(garbage, (byte) random.nextInt(1, 256));
        guest.putRaw(garbage);
        guest.ring();
    }

    /// The same without a race: each bad command stops its queue, and the guest starts it after it
    /// has seen that.
    @Test
    void badCommandsStopOneQueueAndNoOther() {
        SplittableRandom random = new SplittableRandom(host.seed());
        GpuGuest victim = device(32);
        GpuGuest flooder = device(16);
        for (int round = 0; round < 200; round++) {
            feed(victim, random);
            giveGarbage(flooder, random);
            engine.runRound();
            assertThat(flooder.error()).isNotEqualTo(QueueError.NONE);
            assertThat(victim.error()).isEqualTo(QueueError.NONE);
        }
        assertThat(flooder.mdev().counters()).containsEntry("engine_errors", 200L);
        assertThat(units(victim))
                .isBetween(200 * 2 * Engine.SLICE_UNITS, 200 * 2 * Engine.SLICE_UNITS + 16);
    }

    /// Empty commands have a cost.
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
