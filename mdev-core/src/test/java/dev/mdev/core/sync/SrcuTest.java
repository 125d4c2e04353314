package dev.mdev.core.sync;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

@Timeout(900)
class SrcuTest {
    private static final int UPDATES = Integer.getInteger("mdev.srcu.updates", 20_000);
    private static final long ENOUGH_NANOS = TimeUnit.SECONDS.toNanos(20);
    private static final int READERS = 3;

    private final Srcu srcu = new Srcu();

    @Test
    void synchronizeWithoutReadersReturns() {
        srcu.synchronize();
        srcu.readUnlock(srcu.readLock());
        srcu.synchronize();
    }

    @Test
    void synchronizeWaitsForASectionThatAnotherThreadEnds() {
        int token = srcu.readLock();
        assertThat(srcu.trySynchronize(10)).isFalse();
        CompletableFuture<Void> grace = CompletableFuture.runAsync(srcu::synchronize);
        assertThat(grace).isNotDone();
        srcu.readUnlock(token);
        grace.join();
    }

    @Test
    void sectionsNestAndTheOuterOneCounts() {
        int outer = srcu.readLock();
        int inner = srcu.readLock();
        srcu.readUnlock(inner);
        assertThat(srcu.trySynchronize(10)).isFalse();
        srcu.readUnlock(outer);
        assertThat(srcu.trySynchronize(10)).isTrue();
    }

    @Test
    void aSectionThatBeginsAfterTheFlipDoesNotHoldTheWriter() {
        int before = srcu.readLock();
        // Gives up in the second drain: the phase has been flipped.
        assertThat(srcu.trySynchronize(1)).isFalse();
        int after = srcu.readLock();
        srcu.readUnlock(before);
        CompletableFuture<Void> grace = CompletableFuture.runAsync(srcu::synchronize);
        // It waits for `after`, as that was open when it was called.
        assertThat(grace).isNotDone();
        srcu.readUnlock(after);
        grace.join();
    }

    @Test
    void noReaderOfManyThreadsMeetsAVersionThatWasTakenBack() throws InterruptedException {
        AtomicBoolean stop = new AtomicBoolean();
        AtomicBoolean met = new AtomicBoolean();
        CountDownLatch started = new CountDownLatch(READERS);
        List<Thread> readers = new ArrayList<>();
        Holder holder = new Holder(new Version());
        for (int i = 0; i < READERS; i++) {
            Thread reader =
                    new Thread(() -> {
                        started.countDown();
                        while (!stop.get()) {
                            if (holder.readMeetsTakenBack(srcu)) {
                                met.set(true);
                            }
                        }
                    });
            reader.start();
            readers.add(reader);
        }
        started.await();
        // Where readers and updater share a processor, an update takes a turn of each.
        long start = System.nanoTime();
        for (int update = 0;
                update < UPDATES && System.nanoTime() - start < ENOUGH_NANOS;
                update++) {
            Version old = holder.version;
            holder.version = new Version();
            srcu.synchronize();
            old.takenBack = true;
        }
        stop.set(true);
        for (Thread reader : readers) {
            reader.join();
        }
        assertThat(met).isFalse();
    }

    private static final class Version {
        // Plain: unordered accesses must be able to go wrong.
        boolean takenBack;
    }

    private static final class Holder {
        volatile Version version;

        Holder(Version version) {
            this.version = version;
        }

        boolean readMeetsTakenBack(Srcu srcu) {
            int token = srcu.readLock();
            try {
                Version seen = version;
                boolean takenBack = false;
                for (int look = 0; look < 8; look++) {
                    takenBack |= seen.takenBack;
                }
                return takenBack;
            } finally {
                srcu.readUnlock(token);
            }
        }
    }
}
