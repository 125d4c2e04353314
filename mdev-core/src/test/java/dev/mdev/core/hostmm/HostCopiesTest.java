package dev.mdev.core.hostmm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.support.Together;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;

/// The host's own copies go by the books, not by the engine: who takes pages away waits for them as
/// for guests, also if nothing else uses the page.
@Timeout(value = 180, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class HostCopiesTest {
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final HostMemory.Block block = memory.allocate("vram", 4);
    private final RecordingPageTable pageTable = new RecordingPageTable();
    private final HostMm mm = new HostMm(pageTable, memory, PATIENCE);
    private final Vma vma =
            mm.reserve(
                    4,
                    Prot.READ_WRITE,
                    0,
                    fault ->
                            new Fill.Map(
                                    fault.page(),
                                    new PfnRange(block.pfns().firstPfn() + fault.page(), 1),
                                    Prot.READ_WRITE));

    @AfterEach
    void close() {
        mm.close();
        memory.close();
    }

    @Test
    void aZapReturnsOnlyWhenACopyThatBeganBeforeIsOver() throws Exception {
        assertWaitsForACopy(Access.WRITE, () -> mm.zap(vma.range()));
    }

    @Test
    void aRemovalReturnsOnlyWhenACopyThatBeganBeforeIsOver() throws Exception {
        assertWaitsForACopy(Access.READ, () -> mm.remove(vma));
    }

    private void assertWaitsForACopy(Access access, Runnable takeAway) throws Exception {
        long hva = vma.range().startHva() + Page.SIZE;
        CountDownLatch copying = new CountDownLatch(1);
        CountDownLatch entriesGone = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        AtomicBoolean copied = new AtomicBoolean();
        AtomicBoolean copiedAtReturn = new AtomicBoolean();
        pageTable.onZap = entriesGone::countDown;

        Together.run(
                () ->
                        assertThat(
                                        mm.withPage(
                                                hva,
                                                access,
                                                true,
                                                (memory, offset) -> {
                                                    copying.countDown();
                                                    Deadlines.await(goOn);
                                                    copied.set(true);
                                                }))
                                .isNull(),
                () -> {
                    Deadlines.await(copying);
                    Thread taker =
                            Thread.ofPlatform()
                                    .daemon()
                                    .start(() -> {
                                        takeAway.run();
                                        copiedAtReturn.set(copied.get());
                                    });
                    Deadlines.await(entriesGone);
                    // From here on there is nothing left to do but to wait for the copy.
                    Together.await("the taker waits or is done", () -> isWaitingOrDone(taker));
                    goOn.countDown();
                    taker.join(PATIENCE.toMillis());
                    assertThat(taker.isAlive()).isFalse();
                });

        assertThat(copiedAtReturn).as("the copy was over at the return").isTrue();
    }

    private static boolean isWaitingOrDone(Thread thread) {
        return switch (thread.getState()) {
            case BLOCKED, WAITING, TIMED_WAITING, TERMINATED -> true;
            case NEW, RUNNABLE -> false;
        };
    }
}
