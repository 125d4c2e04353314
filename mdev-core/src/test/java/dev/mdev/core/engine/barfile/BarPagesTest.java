package dev.mdev.core.engine.barfile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.engine.barfile.BarFileOptions.Refused;
import dev.mdev.core.engine.barfile.ClientPages.Found;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;

/// The pages of a file between a kernel and a driver that do things at the worst moment. Nothing
/// here needs the kernel.
@Timeout(value = 180, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class BarPagesTest {
    private static final long NPAGES = 32;
    private static final BarFileOptions OPTIONS =
            new BarFileOptions(Refused.ONES, Duration.ofSeconds(1), 3, 1, 1);

    private final HostMemory memory = HostMemory.withHomes(new OffHeapBackend(), Long.MAX_VALUE);
    private final HostMemory.Block block = memory.allocate("vram", NPAGES);
    private final FakeKernel kernel = new FakeKernel();
    private final ScriptedCache cache = new ScriptedCache();
    private final BarCounters counters = new BarCounters();
    private final ScriptedTicker ticker = new ScriptedTicker();
    private final BarPages pages =
            new BarPages(
                    new PageStates(NPAGES, memory, new Waiting(kernel.connection, OPTIONS), ticker),
                    cache,
                    counters);
    private final MemorySegment buffer = MemorySegment.ofArray(new byte[Page.SIZE]);

    /// A time that passes only while a thread sleeps.
    private static final class ScriptedTicker implements Ticker {
        final AtomicLong now = new AtomicLong(Long.MAX_VALUE);

        @Override
        public long nanoTime() {
            return now.get();
        }

        @Override
        public void sleep(long nanos) {
            now.addAndGet(nanos);
        }
    }

    /// A page cache whose events a test picks.
    private static final class ScriptedCache implements PageCache {
        final List<String> dropped = new ArrayList<>();
        Runnable duringDrop = () -> {};
        boolean broken;

        @Override
        public void writeBack(long firstPage, long npages) {
            dropped.add("write-back %d+%d".formatted(firstPage, npages));
        }

        @Override
        public void drop(long firstPage, long npages) {
            dropped.add("%d+%d".formatted(firstPage, npages));
            if (broken) {
                throw new MdevException(Errno.EIO, "broken");
            }
            Runnable event = duringDrop;
            duringDrop = () -> {};
            event.run();
        }

        @Override
        public boolean read(long offsetBytes, MemorySegment destination) {
            destination.fill((byte) 0x55);
            return true;
        }

        @Override
        public boolean isDead() {
            return false;
        }
    }

    @AfterEach
    void close() {
        memory.close();
    }

    private PfnRange pfns(long first, long npages) {
        return new PfnRange(block.pfns().firstPfn() + first, npages);
    }

    private Found read(long page, long unique) {
        return pages.clients().readPage(page, unique, false, buffer);
    }

    private long firstWord() {
        return buffer.get(ValueLayout.JAVA_LONG_UNALIGNED, 0);
    }

    private void set(long page, long value) {
        block.write(Page.addressOf(page), MemorySegment.ofArray(new long[] {value}));
    }

    private long get(long page) {
        MemorySegment value = MemorySegment.ofArray(new long[1]);
        block.read(Page.addressOf(page), value);
        return value.get(ValueLayout.JAVA_LONG, 0);
    }

    @Test
    void aGrantAnswersAllReadsOfItsPagesBeforeItReturns() {
        set(4, 44);
        assertThat(read(4, 1)).isEqualTo(Found.ASK);
        assertThat(read(4, 2)).isEqualTo(Found.WAITS);

        pages.grant(0, pfns(0, 6), true);

        assertThat(kernel.answers)
                .containsExactly(new FakeKernel.Answer(1, 0, 44), new FakeKernel.Answer(2, 0, 44));
        assertThat(read(4, 3)).isEqualTo(Found.CONTENT);
    }

    /// How long a revocation of all pages waits.
    private long stayNanos() {
        long begin = ticker.nanoTime();
        pages.revoke(0, NPAGES);
        pages.allowAgain(0, NPAGES);
        return ticker.nanoTime() - begin;
    }

    @Test
    void aRevocationLetsAPageStayForAMomentThatAClientHasWaitedFor() {
        assertThat(read(4, 1)).isEqualTo(Found.ASK);
        pages.grant(4, pfns(4, 1), true);
        pages.grant(5, pfns(5, 1), true);

        assertThat(stayNanos()).isEqualTo(FreshPages.STAY_NANOS);

        assertThat(cache.dropped).containsExactly("4+1");
        assertThat(stayNanos()).as("nothing is there").isZero();
    }

    @Test
    void aPageThatAClientAsksForAgainStaysLonger() {
        for (long times = 1; times <= 8; times *= 2) {
            assertThat(read(4, times)).isEqualTo(Found.ASK);
            pages.grant(4, pfns(4, 1), true);
            assertThat(stayNanos()).isEqualTo(times * FreshPages.STAY_NANOS);
        }
    }

    @Test
    void aPageThatAClientStoresToStaysNoLonger() {
        for (int round = 1; round < 5; round++) {
            assertThat(read(4, round)).isEqualTo(Found.ASK);
            pages.grant(4, pfns(4, 1), true);
            cache.duringDrop =
                    () ->
                            pages.clients()
                                    .writtenBack(
                                            Page.addressOf(4),
                                            MemorySegment.ofArray(new long[] {7}));
            assertThat(stayNanos()).isEqualTo(FreshPages.STAY_NANOS);
        }
    }

    @Test
    void aRefusedPageStaysLongerWhenAClientAsksForItAgain() {
        for (long times = 1; times <= 8; times *= 2) {
            assertThat(read(4, times)).isEqualTo(Found.ASK);
            assertThat(pages.deny(4, pages.epoch())).isTrue();
            assertThat(stayNanos()).isEqualTo(times * FreshPages.STAY_NANOS);
        }
    }

    @Test
    void moreAccessesThanAllowedAreNotKept() {
        assertThat(read(0, 1)).isEqualTo(Found.ASK);
        assertThat(read(1, 2)).isEqualTo(Found.ASK);
        assertThat(read(1, 3)).isEqualTo(Found.WAITS);
        assertThat(read(2, 4)).isEqualTo(Found.BUSY);

        pages.giveUp(1, Errno.EAGAIN);

        assertThat(read(2, 5)).isEqualTo(Found.ASK);
        assertThat(kernel.answers)
                .extracting(FakeKernel.Answer::error)
                .containsExactly(Errno.EAGAIN.code(), Errno.EAGAIN.code());
    }

    /// The kernel has passed the page when the client reads it again: it must go once more.
    @Test
    void aPageThatIsReadWhileItIsDroppedIsDroppedAgain() {
        pages.grant(0, pfns(0, 4), true);
        read(1, 1);
        read(3, 2);
        cache.duringDrop =
                () -> {
                    assertThat(read(1, 3)).as("it is answered at once").isEqualTo(Found.CONTENT);
                    pages.clients()
                            .writtenBack(Page.addressOf(3), MemorySegment.ofArray(new long[] {7}));
                };

        pages.revoke(0, 4);

        assertThat(cache.dropped).containsExactly("1+3", "1+1");
        assertThat(get(3)).as("written back while it was dropped").isEqualTo(7);
        assertThat(read(1, 4)).isEqualTo(Found.ASK);
    }

    @Test
    void pagesThatNoClientHasAreNotDropped() {
        pages.grant(0, pfns(0, 4), true);

        pages.revoke(0, 4);

        assertThat(cache.dropped).isEmpty();
    }

    @Test
    void manyPagesAreWrittenBackBeforeTheyAreDropped() {
        pages.grant(0, pfns(0, 7), true);
        pages.grant(7, pfns(7, 7), true);
        assertThat(
                        pages.clients()
                                .readMany(
                                        0, MemorySegment.ofArray(new byte[(int) Page.bytesOf(14)])))
                .isEqualTo(Found.CONTENT);

        pages.revoke(0, 14);

        assertThat(cache.dropped).containsExactly("write-back 0+14", "0+14");
    }

    @Test
    void aReadOfSeveralPagesIsRefusedIfOneIsNotGranted() {
        pages.grant(0, pfns(0, 3), true);
        MemorySegment four = MemorySegment.ofArray(new byte[(int) Page.bytesOf(4)]);

        assertThat(pages.clients().readMany(0, four)).isEqualTo(Found.REFUSED);

        pages.grant(3, pfns(3, 1), true);
        assertThat(pages.clients().readMany(0, four)).isEqualTo(Found.CONTENT);
    }

    @Test
    void aKernelThatKeepsPagesFailsTheRevocationAndTheNextOneWorks() {
        pages.grant(0, pfns(0, 2), true);
        read(0, 1);
        cache.broken = true;

        assertThatThrownBy(() -> pages.revoke(0, 2)).hasMessageContaining("broken");

        cache.broken = false;
        assertThat(read(0, 2)).as("granted still").isEqualTo(Found.CONTENT);
        pages.revoke(0, 2);
        assertThat(read(0, 3)).isEqualTo(Found.ASK);
    }

    /// The device's store goes to the page's own memory; the client's read waits for it.
    @Test
    void aReadOfAPageThatTheHostWritesIsAnsweredAfterwards() {
        pages.grant(5, pfns(5, 1), true);
        read(5, 1);
        cache.duringDrop =
                () -> {
                    pages.clients()
                            .writtenBack(
                                    Page.addressOf(5) + 8, MemorySegment.ofArray(new long[] {9}));
                };

        set(5, 70);

        assertThat(cache.dropped).containsExactly("5+1");
        assertThat(read(5, 2)).isEqualTo(Found.CONTENT);
        assertThat(firstWord()).isEqualTo(70);
        assertThat(buffer.get(ValueLayout.JAVA_LONG_UNALIGNED, 8)).isEqualTo(9);
    }

    @Test
    void theHostReadsACachedPageThroughTheCacheAndOthersDirectly() {
        set(5, 1);
        set(6, 2);
        pages.grant(5, pfns(5, 2), true);
        read(5, 1);

        assertThat(get(5)).isEqualTo(0x5555555555555555L);
        assertThat(get(6)).isEqualTo(2);
        pages.revoke(5, 7);
        assertThat(get(5)).isOne();
    }

    @Test
    void theHostReadsPagesOfBothKindsInOnePiece() {
        set(4, 1);
        set(5, 2);
        pages.grant(4, pfns(4, 1), false);
        pages.grant(5, pfns(5, 1), true);
        read(4, 1);
        read(5, 2);
        MemorySegment both = MemorySegment.ofArray(new byte[(int) Page.bytesOf(2)]);

        block.read(Page.addressOf(4), both);

        assertThat(both.get(ValueLayout.JAVA_LONG_UNALIGNED, 0)).as("for loads only").isOne();
        assertThat(both.get(ValueLayout.JAVA_LONG_UNALIGNED, Page.SIZE))
                .isEqualTo(0x5555555555555555L);
    }

    /// Otherwise a client would keep ones that it writes over the device's content.
    @Test
    void aGrantDropsTheOnesOfPagesThatWereRefused() {
        set(1, 11);
        assertThat(read(1, 1)).isEqualTo(Found.ASK);
        assertThat(pages.deny(1, pages.epoch())).isTrue();
        assertThat(read(1, 2)).isEqualTo(Found.CONTENT);
        assertThat(firstWord()).isEqualTo(-1);

        pages.grant(0, pfns(0, 3), true);

        assertThat(cache.dropped).containsExactly("1+1");
        assertThat(read(1, 3)).isEqualTo(Found.CONTENT);
        assertThat(firstWord()).isEqualTo(11);
    }

    @Test
    void aRefusalThatARevocationOvertookIsNoAnswer() {
        assertThat(read(1, 1)).isEqualTo(Found.ASK);
        long asked = pages.epoch();
        pages.allowAgain(0, 4);

        assertThat(pages.deny(1, asked)).isFalse();

        assertThat(kernel.answers).isEmpty();
        assertThat(pages.isAwaited(1)).isTrue();
        assertThat(pages.deny(1, pages.epoch())).isTrue();
        assertThat(kernel.answers).containsExactly(new FakeKernel.Answer(1, 0, -1));
    }

    @Test
    void anAccessThatWaitsForTooLongIsRefused() {
        long before = System.nanoTime();
        read(1, 1);
        pages.expire(before);
        assertThat(kernel.answers).isEmpty();

        pages.expire(System.nanoTime() + OPTIONS.answerWithin().toNanos());

        assertThat(kernel.answers).containsExactly(new FakeKernel.Answer(1, 0, -1));
        assertThat(counters.snapshot().timedOut()).isOne();
        pages.grant(1, pfns(1, 1), true);
        assertThat(cache.dropped).as("the late grant takes the ones away").containsExactly("1+1");
    }

    @Test
    void storesToPagesThatAreNotGrantedForThemAreLost() {
        pages.grant(1, pfns(1, 1), false);
        MemorySegment value = MemorySegment.ofArray(new long[] {5});

        pages.clients().writtenBack(Page.addressOf(1), value);
        pages.clients().writtenBack(Page.addressOf(2), value);

        assertThat(get(1)).isZero();
        assertThat(get(2)).isZero();
        assertThat(counters.snapshot().storesLost()).isEqualTo(2);
        assertThat(pages.clients().write(Page.addressOf(1), value)).isFalse();
    }

    @Test
    void aPhysicalPageHasOnePlace() {
        pages.grant(1, pfns(1, 1), true);

        assertThatThrownBy(() -> pages.grant(2, pfns(0, 2), true))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EBUSY));

        pages.grant(2, pfns(0, 1), true);
        pages.revoke(1, 2);
        pages.grant(3, pfns(1, 1), true);
    }

    /// The host gives page 2 back as granted, while the revocation has got no further than page 0.
    @Test
    void aRevocationTakesAPageThatTheHostHoldsMeanwhile() throws Exception {
        pages.grant(0, pfns(0, 1), true);
        pages.grant(2, pfns(2, 1), true);
        read(0, 1);
        read(2, 1);
        Thread revoker = Thread.currentThread();
        CountDownLatch held = new CountDownLatch(1);
        CountDownLatch revoked = new CountDownLatch(1);
        AtomicReference<CompletableFuture<Void>> writer = new AtomicReference<>();
        cache.duringDrop =
                () -> {
                    cache.duringDrop =
                            () -> {
                                held.countDown();
                                awaitWaiting(revoker, revoked);
                            };
                    writer.set(
                            CompletableFuture.runAsync(
                                    () -> set(2, 22), Thread::startVirtualThread));
                    awaitLatch(held);
                };

        pages.revoke(0, 3);
        revoked.countDown();

        writer.get().get();
        assertThat(get(2)).isEqualTo(22);
        assertThat(read(2, 2)).isEqualTo(Found.ASK);
        pages.grant(3, pfns(2, 1), true);
    }

    private static void awaitLatch(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    /// Waits until a thread waits with a bound, or has passed `end`.
    private static void awaitWaiting(Thread thread, CountDownLatch end) {
        while (thread.getState() != Thread.State.TIMED_WAITING && end.getCount() > 0) {
            Thread.onSpinWait();
        }
    }

    /// A revocation and the host's writes of the same pages take turns.
    @Test
    void revocationsAndWritesOfTheHostTakeTurns() throws Exception {
        for (int round = 0; round < 2000; round++) {
            pages.grant(0, pfns(0, 4), true);
            read(0, 1);
            read(2, 1);
            long value = round;
            CompletableFuture<Void> writer =
                    CompletableFuture.runAsync(
                            () -> {
                                for (int page = 0; page < 4; page++) {
                                    set(page, value);
                                }
                            },
                            Thread::startVirtualThread);
            pages.revoke(0, 4);
            writer.get();
            for (int page = 0; page < 4; page++) {
                assertThat(get(page)).isEqualTo(value);
            }
        }
    }
}
