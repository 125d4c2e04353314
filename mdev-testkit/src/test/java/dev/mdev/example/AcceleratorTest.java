package dev.mdev.example;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Page;
import dev.mdev.testkit.InMemoryHost;
import dev.mdev.testkit.InMemoryMdev;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;

/// What the accelerator computes, and what its doorbell stands for.
final class AcceleratorTest {
    private static final long JOBS = 0x1000;
    private static final long DATA = 0x10_0000;
    private static final long TARGET = 0x2000;

    private final InMemoryHost host = new InMemoryHost(new ChecksumDriver(), Map.of());
    private InMemoryMdev mdev = host.parent().create("checksum-1");
    private final SplittableRandom random = new SplittableRandom(7);
    private int posted;

    @AfterEach
    void close() {
        host.close();
    }

    private void enable(InMemoryMdev device) {
        device.guestMemory().setBusMaster(true);
        device.guest().store(Accelerator.REGISTERS, Accelerator.JOBS, 8, JOBS);
        device.guest().store(Accelerator.REGISTERS, Accelerator.CONTROL, 4, 1);
    }

    private byte[] post(int lengthBytes) {
        byte[] bytes = new byte[lengthBytes];
        random.nextBytes(bytes);
        long source = DATA + posted * 0x1_0000L;
        long job = JOBS + (1 + posted) * (long) Accelerator.JOB_BYTES;
        mdev.guestMemory().write(source, MemorySegment.ofArray(bytes));
        mdev.guestMemory().store(job, 8, source);
        mdev.guestMemory().store(job + Accelerator.JOB_LENGTH, 4, lengthBytes);
        mdev.guestMemory().store(job + Accelerator.JOB_TARGET, 8, TARGET + 8L * posted);
        posted++;
        mdev.guestMemory().store(JOBS, 4, posted);
        return bytes;
    }

    private void ring() {
        mdev.guest().store(Accelerator.REGISTERS, Accelerator.DOORBELL, 4, 0);
    }

    private long register(int offset, int width) {
        return mdev.guest().load(Accelerator.REGISTERS, offset, width);
    }

    private static long hashOf(byte[] bytes) {
        long hash = 0xCBF2_9CE4_8422_2325L;
        for (byte value : bytes) {
            hash = (hash ^ (value & 0xFF)) * 0x100_0000_01B3L;
        }
        return hash;
    }

    @Test
    void oneRingStandsForAllJobsThatArePosted() {
        enable(mdev);
        byte[] first = post(3 * Page.SIZE + 5);
        byte[] second = post(0);
        byte[] third = post(17);

        ring();
        mdev.awaitDoorbells();

        assertThat(mdev.guestMemory().load(TARGET, 8)).isEqualTo(hashOf(first));
        assertThat(mdev.guestMemory().load(TARGET + 8, 8)).isEqualTo(hashOf(second));
        assertThat(mdev.guestMemory().load(TARGET + 16, 8)).isEqualTo(hashOf(third));
        assertThat(register(Accelerator.DONE_JOBS, 4)).isEqualTo(3);
        assertThat(mdev.guest().load(Accelerator.RESULT, 0, 8)).isEqualTo(hashOf(third));
    }

    @Test
    void aRingWithoutWorkDoesNothing() {
        enable(mdev);

        ring();
        mdev.awaitDoorbells();

        assertThat(register(Accelerator.STATUS, 4)).isZero();
    }

    /// A guest that sees the ring's effect only by the page never takes the last result for this
    /// one.
    @Test
    void aLoadOfTheResultWaitsForTheJobUnderWay() {
        enable(mdev);
        byte[] first = post(1);
        ring();
        mdev.awaitDoorbells();
        assertThat(loadResult()).isEqualTo(hashOf(first));
        byte[] second = post(3 * Page.SIZE);
        CompletableFuture<Long> seen = new CompletableFuture<>();
        mdev.guestMemory()
                .setBeforeAccess(() -> {
                    boolean isInJob = register(Accelerator.DONE_BYTES, 4) != 0;
                    if (isInJob && !seen.isDone()) {
                        loadBeforeItGoesOn(seen);
                    }
                });

        ring();
        mdev.awaitDoorbells();

        assertThat(seen.join()).isEqualTo(hashOf(second));
    }

    private long loadResult() {
        return mdev.guest().load(Accelerator.RESULT, 0, 8);
    }

    /// Loads the result on another processor. Returns when the driver has been asked for the page.
    private void loadBeforeItGoesOn(CompletableFuture<Long> seen) {
        mdev.guestMemory().setBeforeAccess(() -> {});
        long before = mdev.guest().faults();
        // A thread of its own: one of a common pool may come too late.
        seen.completeAsync(this::loadResult, Thread::startVirtualThread);
        while (mdev.guest().faults() == before && !seen.isDone()) {
            Thread.onSpinWait();
        }
    }

    @Test
    void jobsAreCountedForTheirHolder() {
        enable(mdev);
        var _ = post(1);
        ring();
        mdev.awaitDoorbells();
        assertThat(mdev.counters()).containsEntry("jobs", 1L);

        mdev.reassign();

        assertThat(mdev.counters()).containsEntry("jobs", 0L);
    }

    @Test
    void absentMemoryEndsTheListWithAFault() {
        enable(mdev);
        post(64);
        mdev.guestMemory().store(JOBS + Accelerator.JOB_BYTES, 8, 1L << 40);

        ring();
        mdev.awaitDoorbells();

        assertThat(register(Accelerator.STATUS, 4)).isEqualTo(Accelerator.STATUS_FAULT);
        assertThat(register(Accelerator.CONTROL, 4)).isZero();
    }

    /// The ring is lost with the first device, and the host rings once the second one works.
    @Test
    void aDeviceThatWasMovedBeforeItsRingWasAnsweredDoesTheWork() {
        enable(mdev);
        InMemoryMdev.Saved saved = mdev.save().orElseThrow();
        byte[] bytes = post(100);
        ring();
        InMemoryMdev other = host.parent().create("checksum-1");
        other.guestMemory().setBusMaster(true);
        copyGuest(mdev, other);

        assertThat(other.restore(saved)).isTrue();
        other.resume();
        other.awaitDoorbells();

        assertThat(other.guestMemory().load(TARGET, 8)).isEqualTo(hashOf(bytes));
        mdev = other;
        assertThat(register(Accelerator.DONE_JOBS, 4)).isEqualTo(1);
    }

    private static void copyGuest(InMemoryMdev from, InMemoryMdev to) {
        byte[] all = new byte[(int) DATA + 0x1_0000];
        from.guestMemory().read(0, MemorySegment.ofArray(all));
        to.guestMemory().write(0, MemorySegment.ofArray(all));
    }
}
