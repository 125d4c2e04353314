package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.Fill;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.support.Together;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;

import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/// Virtual processors that sleep in a fault: what gets them out of it.
@RealKvm
class KvmSleepingFaultTest {
    private static final int NPAGES = 32;
    private static final int GC_PAGES = 4;

    private static long read(Machine machine, long offset) {
        return (long)
                ValueLayout.JAVA_LONG.varHandle().getVolatile(machine.aperture.segment(), offset);
    }

    /// A processor that sleeps in a store of 3 to page 0, whose owner was asked and answers only on
    /// the test's signal.
    private static final class Sleeper implements AutoCloseable {
        final CountDownLatch answer = new CountDownLatch(1);
        final Machine machine = new Machine(NPAGES);
        final Vma vma;
        final Machine.Cpu cpu;
        final CompletableFuture<VcpuExit> running;

        Sleeper() {
            CountDownLatch asked = new CountDownLatch(1);
            vma = machine.bar(NPAGES, slowly(machine, asked, answer));
            cpu = machine.cpu();
            running = cpu.start(store(0, 3));
            Deadlines.await(asked);
        }

        @Override
        public void close() {
            machine.close();
        }
    }

    @Test
    void aKickGetsAProcessorOutOfAFaultThatIsNotAnswered() throws Exception {
        try (Sleeper sleeper = new Sleeper()) {
            sleeper.cpu.vcpu.kick();

            assertThat(Machine.get(sleeper.running)).isEqualTo(new VcpuExit.Interrupted());
            assertThat(sleeper.cpu.vcpu.completed()).isZero();

            var resumed = sleeper.cpu.startResume();
            sleeper.answer.countDown();
            assertThat(Machine.get(resumed)).isEqualTo(new VcpuExit.Done());
            assertThat(read(sleeper.machine, 0)).isEqualTo(3);
        }
    }

    /// A refusal comes after the processor was kicked out of its fault. Its next access causes a
    /// new request, and the old refusal does not apply.
    @Test
    void aRefusalThatComesTooLateIsNotKeptForLaterAccesses() {
        LateRefusal owner = new LateRefusal();
        try (Machine machine = new Machine(NPAGES)) {
            Vma vma = machine.bar(NPAGES, owner.of(machine));
            Machine.Cpu cpu = machine.cpu();
            var refused = cpu.start(store(0, 1));
            Deadlines.await(owner.asked.get(0));
            cpu.vcpu.kick();
            assertThat(Machine.get(refused)).isEqualTo(new VcpuExit.Interrupted());
            owner.answer.get(0).countDown();
            // One thread answers all faults of a range: after this, the refusal has been delivered.
            assertThat(machine.cpu().run(store(1, 1))).isEqualTo(new VcpuExit.Done());

            assertThat(cpu.run(store(0, 2))).isEqualTo(new VcpuExit.Done());
            machine.guest.hostMm().zap(pages(vma, 0, 1));
            var again = cpu.start(store(0, 3));
            Deadlines.await(owner.asked.get(1));
            cpu.vcpu.kick();

            assertThat(Machine.get(again)).isEqualTo(new VcpuExit.Interrupted());
            owner.answer.get(1).countDown();
            assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());
            assertThat(read(machine, 0)).isEqualTo(3);
        }
    }

    /// Refuses the first request for page 0, and answers the first and the third only on the test's
    /// signal.
    private static final class LateRefusal {
        final List<CountDownLatch> asked = List.of(new CountDownLatch(1), new CountDownLatch(1));
        final List<CountDownLatch> answer = List.of(new CountDownLatch(1), new CountDownLatch(1));
        private final AtomicInteger questions = new AtomicInteger();

        dev.mdev.core.hostmm.VmaOps of(Machine machine) {
            return fault -> {
                int question = fault.page() == 0 ? questions.incrementAndGet() : 0;
                if (question == 1 || question == 3) {
                    asked.get(question / 2).countDown();
                    Deadlines.await(answer.get(question / 2));
                }
                return question == 1
                        ? new FaultResult.Failed(Errno.EACCES, "not yet")
                        : machine.pageByPage(page -> page).fault(fault);
            };
        }
    }

    @Test
    void aProcessorMayBeClosedWhileItsFaultIsStillAnswered() throws Exception {
        CountDownLatch asked = new CountDownLatch(1);
        CountDownLatch answer = new CountDownLatch(1);
        try (Machine machine = new Machine(NPAGES)) {
            machine.bar(NPAGES, slowly(machine, asked, answer));
            Machine.Cpu dying = new Machine.Cpu(machine.guest.createVcpu(7));
            var running = dying.start(store(0, 3));
            Deadlines.await(asked);
            dying.close();
            assertThat(Machine.get(running)).isEqualTo(new VcpuExit.Interrupted());
            answer.countDown();

            Machine.Cpu other = machine.cpu();
            assertThat(other.run(store(0, 4))).isEqualTo(new VcpuExit.Done());
            assertThat(read(machine, 0)).isEqualTo(4);
        }
    }

    @Test
    void aRangeThatIsRemovedFailsThoseWhoSleepInIt() throws Exception {
        try (Sleeper sleeper = new Sleeper()) {
            var removed = Machine.async(() -> sleeper.machine.guest.hostMm().remove(sleeper.vma));

            assertThat(Machine.get(sleeper.running))
                    .isInstanceOfSatisfying(
                            VcpuExit.Fault.class,
                            fault -> assertThat(fault.refusal().errno()).isEqualTo(Errno.EFAULT));
            sleeper.answer.countDown();
            Machine.get(removed);
            assertThat(read(sleeper.machine, 0)).isZero();
        }
    }

    @Test
    void aMachineThatIsClosedInTheMiddleOfAFaultClosesAndTheAccessFails() throws Exception {
        try (Sleeper sleeper = new Sleeper()) {
            var closed = Machine.async(sleeper.machine.guest::close);

            assertThat(Machine.get(sleeper.running))
                    .isInstanceOfSatisfying(
                            VcpuExit.Fault.class,
                            fault -> assertThat(fault.refusal().errno()).isEqualTo(Errno.EFAULT));
            sleeper.answer.countDown();
            assertThat(Machine.get(closed)).isTrue();
            assertThat(read(sleeper.machine, 0)).isZero();
        }
    }

    @Test
    void aFaultThatNobodyAnswersFailsTheAccessWithinItsDeadline() throws Exception {
        CountDownLatch asked = new CountDownLatch(1);
        CountDownLatch answer = new CountDownLatch(1);
        try (Machine machine =
                new Machine(NPAGES, Syscalls.ofThisProcess(), Duration.ofMillis(200), 40_000)) {
            machine.bar(NPAGES, slowly(machine, asked, answer));
            Machine.Cpu cpu = machine.cpu();

            assertThat(cpu.run(store(2, 3)))
                    .isInstanceOfSatisfying(
                            VcpuExit.Fault.class,
                            fault -> {
                                assertThat(fault.refusal().errno()).isEqualTo(Errno.ETIMEDOUT);
                                assertThat(fault.gpa()).isEqualTo(Machine.gpa(2));
                            });
            assertThat(machine.guest.faultCounts().overdue()).isOne();
            answer.countDown();
            // On a busy machine the next try may be late as well.
            Together.await("the access is done", () -> cpu.resume().equals(new VcpuExit.Done()));
        }
    }

    @Test
    void anOwnerThatThrowsFailsTheAccessAndTheLoopLivesOn() {
        AtomicInteger calls = new AtomicInteger();
        try (Machine machine = new Machine(NPAGES)) {
            machine.bar(
                    NPAGES,
                    fault -> {
                        if (calls.getAndIncrement() == 0) {
                            throw new IllegalStateException("bug in the owner");
                        }
                        return machine.pageByPage(page -> page).fault(fault);
                    });
            Machine.Cpu cpu = machine.cpu();

            assertThat(cpu.run(store(1, 3)))
                    .isInstanceOfSatisfying(
                            VcpuExit.Fault.class,
                            fault -> {
                                assertThat(fault.refusal().errno()).isEqualTo(Errno.EIO);
                                assertThat(fault.refusal().reason()).contains("bug in the owner");
                            });
            assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());
            assertThat(machine.guest.faultCounts().internalErrors()).isOne();
        }
    }

    /// The owner of the pages allocates and another thread collects garbage all the time: if a
    /// thread slept in a page fault where the virtual machine cannot stop it, this would never end.
    @Test
    void faultsAreAnsweredWhileGarbageIsCollected() {
        try (Machine machine = new Machine(NPAGES)) {
            Vma vma =
                    machine.bar(
                            NPAGES,
                            fault -> {
                                System.gc();
                                return machine.pageByPage(page -> page).fault(fault);
                            });
            Machine.Cpu cpu = machine.cpu();
            AtomicBoolean stop = new AtomicBoolean();
            var collector =
                    Machine.async(() -> {
                        while (!stop.get()) {
                            System.gc();
                        }
                    });
            for (int round = 1; round <= 2; round++) {
                assertThat(
                                cpu.run(
                                        new GuestAccess.Store(
                                                new GuestAccess.Span(
                                                        Machine.gpa(0), 8, GC_PAGES, Page.SIZE),
                                                round,
                                                0)))
                        .isEqualTo(new VcpuExit.Done());
                machine.guest.hostMm().zap(vma.range());
            }
            stop.set(true);
            Machine.get(collector);
            assertThat(read(machine, 0)).isEqualTo(2);
            assertThat(machine.guest.faultCounts().events()).isEqualTo(2L * GC_PAGES);
        }
    }

    @Test
    void aFaultThatAnInterruptEndedIsNoFault() {
        AtomicInteger writes = new AtomicInteger();
        try (Machine machine = new Machine(NPAGES)) {
            machine.bar(
                    NPAGES,
                    fault -> {
                        Prot prot = fault.access() == Access.READ ? Prot.READ : Prot.READ_WRITE;
                        return prot == Prot.READ_WRITE && writes.getAndIncrement() == 0
                                ? new FaultResult.Failed(Errno.EINTR, "interrupted")
                                : new Fill.Map(
                                        fault.page(),
                                        new PfnRange(machine.pfn(fault.page()), 1),
                                        prot);
                    });
            Machine.Cpu cpu = machine.cpu();
            cpu.load(Machine.gpa(0), 8, new ArrayList<>());

            // Mapped read-only: the processor's own thread asks.
            assertThat(cpu.run(store(0, 7))).isEqualTo(new VcpuExit.Interrupted());
            assertThat(cpu.vcpu.completed()).isZero();
            assertThat(cpu.resume()).isEqualTo(new VcpuExit.Done());
            assertThat(read(machine, 0)).isEqualTo(7);
        }
    }

    private static dev.mdev.core.hostmm.VmaOps slowly(
            Machine machine, CountDownLatch asked, CountDownLatch answer) {
        return fault -> {
            asked.countDown();
            Deadlines.await(answer);
            return machine.pageByPage(page -> page).fault(fault);
        };
    }

    private static GuestAccess.Store store(long page, long value) {
        return new GuestAccess.Store(new GuestAccess.Span(Machine.gpa(page), 8, 1, 0), value, 0);
    }

    private static HvaRange pages(Vma vma, long first, long npages) {
        return HvaRange.ofPages(vma.range().startHva() + Page.addressOf(first), npages);
    }
}
