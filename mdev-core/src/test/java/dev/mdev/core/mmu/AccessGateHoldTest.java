package dev.mdev.core.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.topology.VcpuPause;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/// While a thread holds the vCPUs, none makes an access or acts for the guest.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class AccessGateHoldTest {
    private static final int VCPUS = 3;
    private static final int HOLDS = 300;

    private final AccessGate gate = new AccessGate();

    /// Whatever a hold protects; the threads of the vCPUs read it without a lock.
    private volatile long protectedValue;

    @Test
    void noVcpuSeesAStateInBetween() throws Exception {
        AtomicBoolean done = new AtomicBoolean();
        List<CompletableFuture<Long>> vcpus = new ArrayList<>();
        for (int i = 0; i < VCPUS; i++) {
            AccessGate.Seat seat = gate.newSeat();
            CompletableFuture<Long> seen = new CompletableFuture<>();
            vcpus.add(seen);
            Thread.ofPlatform().daemon().start(() -> seen.complete(run(seat, done)));
        }
        List<CompletableFuture<Void>> holders = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            holders.add(
                    CompletableFuture.runAsync(
                            this::holdOften, task -> Thread.ofPlatform().daemon().start(task)));
        }
        for (CompletableFuture<Void> holder : holders) {
            holder.get(Deadlines.HANG_SECONDS, TimeUnit.SECONDS);
        }
        done.set(true);
        for (CompletableFuture<Long> vcpu : vcpus) {
            assertThat(vcpu.get(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)).isZero();
        }
    }

    /// A vCPU that makes accesses, and sometimes acts in the guest's place.
    ///
    /// @return the states in between that it saw
    private long run(AccessGate.Seat seat, AtomicBoolean done) {
        long wrong = 0;
        while (!done.get()) {
            seat.enter();
            for (int access = 0; access < 50; access++) {
                while (seat.flushRequested()) {
                    seat.acknowledgeAfter(() -> {});
                }
                wrong += protectedValue & 1;
            }
            seat.stepOut();
            wrong += protectedValue & 1;
            seat.enter();
            seat.leave();
        }
        return wrong;
    }

    private synchronized void change() {
        protectedValue++;
        protectedValue++;
    }

    private void holdOften() {
        for (int i = 0; i < HOLDS; i++) {
            try (VcpuPause.Hold _ = gate.hold()) {
                change();
                change();
            }
        }
    }

    @Test
    void aVcpuThatIsOutStaysOutUntilTheLastHoldEnds() throws Exception {
        AccessGate.Seat seat = gate.newSeat();
        VcpuPause.Hold first = gate.hold();
        VcpuPause.Hold second = gate.hold();
        CompletableFuture<Boolean> entered = new CompletableFuture<>();
        Thread thread =
                Thread.ofPlatform()
                        .daemon()
                        .start(() -> {
                            seat.enter();
                            entered.complete(true);
                        });
        first.close();
        while (thread.getState() != Thread.State.WAITING) {
            Thread.onSpinWait();
        }
        assertThat(entered).isNotDone();
        second.close();
        assertThat(entered.get(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)).isTrue();
        assertThat(seat.flushRequested()).isTrue();
    }
}
