package dev.mdev.core.elastic;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.support.Seeded;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/// Guests that store while their pages are taken away from under them.
final class ElasticRaceTest {
    private static final int DEVICES = 3;
    private static final int GUESTS_A_DEVICE = 2;
    private static final int ROUNDS = 4000;

    @Test
    void noStoreIsLostByAnEviction() {
        Seeded.run(2, random -> assertThat(lostStores(random, false, ROUNDS)).isZero());
    }

    /// A page whose content is copied before it is revoked loses the stores in between.
    @Test
    void theTestFindsAWriteBackBeforeTheRevocation() {
        SplittableRandom random = new SplittableRandom();
        int lost = 0;
        for (int round = 0; round < 200 && lost == 0; round++) {
            lost = lostStores(random, true, ROUNDS);
        }
        assertThat(lost).as("lost stores found").isPositive();
    }

    private static int lostStores(SplittableRandom random, boolean planted, int rounds) {
        ElasticWorld world = new ElasticWorld(64, 1, ElasticWorld.options(), Deadlines.HANG);
        List<Callable<Integer>> guests = new ArrayList<>();
        List<ElasticWorld.Device> devices = new ArrayList<>();
        for (int i = 0; i < DEVICES; i++) {
            ElasticWorld.Device device = world.new Device(16, 60);
            device.revokesLate = planted;
            devices.add(device);
            for (int guest = 0; guest < GUESTS_A_DEVICE; guest++) {
                int first = guest;
                SplittableRandom own = random.split();
                guests.add(() -> storeAndCheck(device, first, own, rounds));
            }
        }
        int lost = 0;
        try (ExecutorService threads = Executors.newFixedThreadPool(guests.size())) {
            for (Future<Integer> result : threads.invokeAll(guests)) {
                lost += result.get();
            }
        } catch (ExecutionException e) {
            if (!planted) {
                throw new AssertionError(e);
            }
            // The world found a frame that was stored to after it was scrubbed.
            lost++;
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
        if (lost == 0) {
            devices.forEach(ElasticWorld.Device::end);
            assertThat(world.freeUnits()).isEqualTo(64);
        }
        return lost;
    }

    /// Each guest has the pages of its own parity.
    private static int storeAndCheck(
            ElasticWorld.Device device, int parity, SplittableRandom random, int rounds) {
        long[] stored = new long[60];
        int lost = 0;
        int page = parity;
        for (int i = 0; i < rounds; i++) {
            // Stays at a page for a while, so that stores meet its eviction.
            if (random.nextInt(4) == 0) {
                page = random.nextInt(30) * 2 + parity;
            }
            long value = random.nextLong();
            lost += device.exchange(page, value) == stored[page] ? 0 : 1;
            stored[page] = value;
        }
        return lost;
    }
}
