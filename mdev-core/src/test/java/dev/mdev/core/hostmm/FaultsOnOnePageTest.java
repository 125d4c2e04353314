package dev.mdev.core.hostmm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.Refusal;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.support.Together;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;

/// Two guests that touch one page at the same time, of which the first is answered.
@Timeout(value = 180, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class FaultsOnOnePageTest {
    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final HostMemory.Block block = memory.allocate("vram", 1);
    private final HostMm mm = new HostMm(new RecordingPageTable(), memory, Duration.ofSeconds(60));
    private final List<Access> asked = new CopyOnWriteArrayList<>();
    private final CountDownLatch goOn = new CountDownLatch(1);

    @AfterEach
    void close() {
        mm.close();
        memory.close();
    }

    private Vma reserve(Fill onWrite) {
        return mm.reserve(
                1,
                Prot.READ_WRITE,
                0,
                fault -> {
                    asked.add(fault.access());
                    if (asked.size() == 1) {
                        Deadlines.await(goOn);
                    }
                    return fault.access() == Access.WRITE
                            ? onWrite
                            : new Fill.Map(0, block.pfns(), Prot.READ);
                });
    }

    /// A store whose answer `goOn` holds back, and a second access that waits for it.
    ///
    /// @return what became of the second
    private FaultResult secondAfterAStore(Vma vma, Access second) {
        AtomicReference<FaultResult> result = new AtomicReference<>();
        long hva = vma.range().startHva();
        Thread waiter =
                Thread.ofPlatform()
                        .daemon()
                        .unstarted(() -> result.set(mm.handleFault(hva, second)));
        Together.run(
                () -> mm.handleFault(hva, Access.WRITE),
                () -> {
                    Together.await("the store is asked for", () -> !asked.isEmpty());
                    waiter.start();
                    Together.await(
                            "the second waits",
                            () -> waiter.getState() == Thread.State.TIMED_WAITING);
                    goOn.countDown();
                    waiter.join(Together.LIMIT.toMillis());
                });
        return result.get();
    }

    @Test
    void aRefusedStoreSaysNothingAboutALoad() {
        FaultResult.Failed refused = failed();

        FaultResult load = secondAfterAStore(reserve(refused), Access.READ);

        assertThat(load).isInstanceOf(FaultResult.Mapped.class);
        assertThat(asked).containsExactly(Access.WRITE, Access.READ);
    }

    @Test
    void aTrappedStoreSaysNothingAboutALoad() {
        FaultResult load = secondAfterAStore(reserve(new FaultResult.Trapped()), Access.READ);

        assertThat(load).isInstanceOf(FaultResult.Mapped.class);
        assertThat(asked).containsExactly(Access.WRITE, Access.READ);
    }

    @Test
    void aRefusedStoreIsRefusedForAllWhoWaitedForIt() {
        FaultResult.Failed refused = failed();

        FaultResult store = secondAfterAStore(reserve(refused), Access.WRITE);

        assertThat(store).isEqualTo(refused);
        assertThat(asked).containsExactly(Access.WRITE);
    }

    private static FaultResult.Failed failed() {
        return new FaultResult.Failed(new Refusal(Errno.EACCES, "no stores"));
    }

    /// A page with too few rights is not written through the host's own mapping either.
    @Test
    void aCopyNeedsTheRightThatAGuestNeeds() {
        goOn.countDown();
        Vma vma =
                reserve(new Fill.Map(0, new PfnRange(block.pfns().firstPfn(), 1), Prot.READ_WRITE));
        long hva = vma.range().startHva();

        assertThat(mm.copyFrom(hva, MemorySegment.ofArray(new byte[8]))).isNull();
        assertThat(mm.copyTo(hva, MemorySegment.ofArray(new byte[8]))).isNull();

        assertThat(asked).containsExactly(Access.READ, Access.WRITE);
    }
}
