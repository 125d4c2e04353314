package dev.mdev.core.engine.kvm;

import dev.mdev.api.Errno;
import dev.mdev.api.Refusal;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.engine.kvm.mm.KvmCounters;
import dev.mdev.core.engine.kvm.stub.StubRow;
import dev.mdev.core.engine.kvm.stub.StubVcpu;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.sys.KvmVcpuAbi;
import dev.mdev.core.sys.Syscalls;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.atomic.AtomicReference;

/// Runs a row of accesses until it is complete or the caller must decide something.
///
/// ## How a fault of the guest ends
///
/// ```
/// touches a lazy page     sleeps in KVM_RUN; the range's fault loop asks the owner, then
///   granted               the loop maps the page and wakes it; it never left KVM_RUN
///   trapped, denied       the loop leaves the outcome here (refuse) and sends the signal: EINTR
/// touches a page that     EFAULT; this thread asks the owner, then runs on or stops
///   is mapped read-only,
///   or just being zapped
/// touches broken memory   SIGBUS with the address: EINTR
/// the kernel touches it   no signal wakes it; refused again and again, the page is poisoned:
///   in its place          the kernel makes an MMIO exit of what it cannot reach
/// no answer in time       the watchdog sends the signal: EINTR
/// ```
///
/// An outcome may arrive after the processor has left that fault (it was kicked). The loop uses it
/// if the program stands at an access of that page at the next run. Otherwise it drops the outcome,
/// because a new fault gets a new answer.
final class KvmRunLoop {
    /// How many refusals of a page the processor may survive. Two may be by chance: a processor
    /// that is woken together with another faults again.
    private static final int MAX_REFUSALS = 3;

    private final StubVcpu stub;
    private final VcpuThread thread;
    private final GuestFaults faults;
    private final KvmCounters counters;

    private final AtomicReference<@Nullable Refused> refusal = new AtomicReference<>();
    private volatile boolean kicked;
    private volatile boolean overdue;

    /// `System.nanoTime` when the processor began to run, or 0; for the watchdog.
    private volatile long runningSinceNanos;

    /// The watchdog's finding at its last visit, or -1.
    private long overdueAt = -1;

    private long failedAt = -1;

    /// The last access that found memory broken, and that memory.
    private long brokenIndex = -1;

    private long brokenHva;

    /// `System.nanoTime` when the access at `failedAt` first failed.
    private long failingSinceNanos;

    /// The last access with an MMIO exit of one part, or -1.
    private long mmioIndex = -1;

    /// Whether the owner of its other part, if any, was asked and refused it.
    private boolean otherPartRefused;

    KvmRunLoop(StubVcpu stub, VcpuThread thread, GuestFaults faults, KvmCounters counters) {
        this.stub = stub;
        this.thread = thread;
        this.faults = faults;
        this.counters = counters;
    }

    /// An outcome of a fault other than a mapping.
    ///
    /// @param times how often it was delivered without getting the processor out
    private record Refused(long pageHva, FaultResult result, int times) {}

    /// Any thread.
    void kick() {
        kicked = true;
        thread.interrupt();
    }

    /// Whether a thread kicked the processor since the last question.
    boolean takeKick() {
        boolean was = kicked;
        kicked = false;
        return was;
    }

    /// Forces the held processor out of the guest. Any other thread.
    void awaitOut() {
        thread.awaitOut();
    }

    /// Any thread.
    ///
    /// @param hva an address on the accessed page
    /// @param result not a mapping
    /// @return false if an earlier outcome had no effect and the page is still being accessed: then
    ///   the kernel's instruction emulator does it, and only poisoning the page ends the access
    boolean refuse(long hva, FaultResult result) {
        long pageHva = Page.baseOf(hva);
        Refused before = refusal.get();
        int times = before != null && before.pageHva == pageHva ? before.times + 1 : 1;
        refusal.set(new Refused(pageHva, result, times));
        thread.interrupt();
        return times <= MAX_REFUSALS;
    }

    private @Nullable Refused takeRefusal() {
        Refused taken = refusal.getAndSet(null);
        if (taken != null && taken.times > MAX_REFUSALS) {
            // Poisoned for this one access.
            var _ = faults.unpoison(taken.pageHva);
        }
        return taken;
    }

    /// Interrupts a processor that has run beyond the deadline without leaving the guest; only an
    /// unanswered fault can cause that. The watchdog's thread.
    void checkDeadline(long nowNanos, long deadlineNanos) {
        long since = runningSinceNanos;
        if (since != 0 && nowNanos - since > deadlineNanos) {
            overdue = true;
            thread.interrupt();
        }
    }

    void start(StubRow row) {
        stub.start(row);
        overdueAt = -1;
        failedAt = -1;
        brokenIndex = -1;
        mmioIndex = -1;
    }

    RunLoopExit run() {
        while (true) {
            if (kicked) {
                kicked = false;
                return new RunLoopExit.Kicked(stub.position().done());
            }
            int errno = enterGuest();
            RunLoopExit stop = errno == 0 ? afterExit() : afterFailure(errno);
            if (stop != null) {
                return stop;
            }
        }
    }

    private int enterGuest() {
        thread.enter();
        try {
            // From here on, a signal delivers each outcome.
            if (kicked || refusal.get() != null || thread.isHeld()) {
                return Errno.EINTR.code();
            }
            // 0 means that it does not run.
            runningSinceNanos = System.nanoTime() | 1;
            return stub.run();
        } finally {
            runningSinceNanos = 0;
            thread.leave();
        }
    }

    private @Nullable RunLoopExit afterExit() {
        return switch (stub.exitReason()) {
            case KvmVcpuAbi.KVM_EXIT_MMIO ->
                    stub.isRowFinished() ? new RunLoopExit.Finished() : afterMmio();
            case KvmVcpuAbi.KVM_EXIT_DIRTY_RING_FULL ->
                    new RunLoopExit.RingFull(stub.position().done());
            default -> {
                long index = stub.position().done();
                yield new RunLoopExit.Failed(
                        index,
                        stub.row().gpaAt(index),
                        new Refusal(
                                Errno.EIO,
                                "the virtual processor stopped: exitReason=" + stub.exitReason()));
            }
        };
    }

    /// The kernel emulated the access. That is correct for absent memory; where memory exists, the
    /// emulator could not reach it.
    private @Nullable RunLoopExit afterMmio() {
        Access access = stub.isMmioWrite() ? Access.WRITE : Access.READ;
        StubVcpu.Position position = stub.position();
        // After an emulated store the kernel has already advanced rip.
        long index = position.atAccess() ? position.done() : position.done() - 1;
        long gpa = stub.mmioGpa();
        Refused refused = takeRefusal();
        if (index == mmioIndex) {
            return afterSecondMmio(index, gpa, access);
        }
        GuestFaults.Answer answer =
                refused != null && refused.pageHva == faults.pageHvaOf(gpa)
                        ? GuestFaults.Answer.of(refused.result)
                        : faults.resolve(gpa, access);
        return switch (answer) {
            case GuestFaults.Answer.NoMemory _, GuestFaults.Answer.Trapped _ -> {
                mmioIndex = index;
                otherPartRefused = refused != null;
                yield new RunLoopExit.Mmio(index);
            }
            case GuestFaults.Answer.Retry _, GuestFaults.Answer.Changing _ -> again(index, gpa);
            case GuestFaults.Answer.Failed failed -> failed(index, gpa, failed);
        };
    }

    /// The other part of an access with one part already served, so that it cannot restart. Memory
    /// is accessed here in the emulator's place; everything else is an exit, for any reason.
    private @Nullable RunLoopExit afterSecondMmio(long index, long gpa, Access access) {
        // The next access there asks, even if the page was poisoned for another thread.
        var _ = faults.unpoison(faults.pageHvaOf(gpa));
        if (otherPartRefused) {
            return new RunLoopExit.Mmio(index);
        }
        MemorySegment value = MemorySegment.ofArray(new long[] {stub.mmioValue()});
        GuestFaults.Answer stop = faults.copy(gpa, access, value.asSlice(0, stub.mmioWidthBytes()));
        if (stop instanceof GuestFaults.Answer.Failed failed
                && failed.refusal().errno() == Errno.EINTR) {
            return failed(index, gpa, failed);
        }
        if (stop != null) {
            return new RunLoopExit.Mmio(index);
        }
        if (access == Access.READ) {
            stub.setMmioValue(value.get(ValueLayout.JAVA_LONG, 0));
        }
        return null;
    }

    /// A fault that an interrupt of this thread ended does not count as a fault, as in `KVM_RUN`.
    private RunLoopExit failed(long index, long gpa, GuestFaults.Answer.Failed failed) {
        if (failed.refusal().errno() == Errno.EINTR) {
            kicked = false;
            return new RunLoopExit.Interrupted(index);
        }
        return new RunLoopExit.Failed(index, gpa, failed.refusal());
    }

    private @Nullable RunLoopExit afterFailure(int errno) {
        if (errno == Errno.EINTR.code()) {
            return afterSignal();
        }
        if (errno == Errno.EFAULT.code()) {
            return afterFault();
        }
        if (errno == Errno.EAGAIN.code()) {
            return null;
        }
        throw Syscalls.failure(errno, "KVM_RUN fd=%s row=%s".formatted(stub.fd(), stub.row()));
    }

    private @Nullable RunLoopExit afterSignal() {
        long signalled = thread.takeSignals();
        Refused refused = takeRefusal();
        boolean late = overdue;
        if (refused == null && signalled < 0 && !late) {
            return null;
        }
        StubVcpu.Position position = stub.position();
        if (stub.isIoPending() || !position.atAccess()) {
            // It is in no fault; an access that left the guest has already been served.
            return null;
        }
        long index = position.done();
        if (refused != null) {
            RunLoopExit stop = afterRefusal(refused, index);
            if (stop != null) {
                return stop;
            }
        }
        if (signalled >= 0 && !faults.unpoison(signalled) && isBrokenAgain(index, signalled)) {
            counters.broken();
            return new RunLoopExit.Failed(
                    index,
                    pieceAt(index, Page.baseOf(signalled), stub.row().gpaAt(index)),
                    new Refusal(Errno.EHWPOISON, "broken memory at hva=0x%x".formatted(signalled)));
        }
        return late ? afterDeadline(index) : null;
    }

    /// A page may have been poisoned for another thread and made usable again since: by another
    /// processor, or by a grant. Broken memory is also broken the second time.
    private boolean isBrokenAgain(long index, long hva) {
        boolean again = brokenIndex == index && brokenHva == hva;
        brokenIndex = again ? -1 : index;
        brokenHva = hva;
        return again;
    }

    private @Nullable RunLoopExit afterRefusal(Refused refused, long index) {
        long gpa = pieceAt(index, refused.pageHva, -1);
        if (gpa < 0) {
            return null;
        }
        return switch (refused.result) {
            case FaultResult.Trapped _ -> new RunLoopExit.Trapped(index, gpa);
            case FaultResult.Failed failed -> new RunLoopExit.Failed(index, gpa, failed.refusal());
            case FaultResult.Mapped _ -> null;
        };
    }

    /// The first time, only record the position: the processor may have come far since the
    /// watchdog's clock began to run.
    private @Nullable RunLoopExit afterDeadline(long index) {
        overdue = false;
        if (overdueAt != index) {
            overdueAt = index;
            return null;
        }
        overdueAt = -1;
        counters.overdue();
        return new RunLoopExit.Failed(
                index,
                stub.row().gpaAt(index),
                new Refusal(Errno.ETIMEDOUT, "the fault was not answered within the deadline"));
    }

    /// The kernel could not reach the memory of an access: it is mapped with insufficient rights,
    /// or is being zapped right now, or is absent.
    private @Nullable RunLoopExit afterFault() {
        long index = stub.position().done();
        StubRow row = stub.row();
        long gpa = row.gpaAt(index);
        long next = Page.baseOf(gpa) + Page.SIZE;
        RunLoopExit stop = resolvePiece(index, gpa);
        if (stop == null && gpa + row.widthBytes() > next) {
            stop = resolvePiece(index, next);
        }
        return stop != null ? stop : triedAt(index, gpa);
    }

    private @Nullable RunLoopExit resolvePiece(long index, long gpa) {
        return switch (faults.resolve(gpa, stub.row().access())) {
            case GuestFaults.Answer.NoMemory _, GuestFaults.Answer.Retry _ -> null;
            case GuestFaults.Answer.Changing _ -> {
                // It may take long, and retries do not count as failures.
                failedAt = -1;
                yield null;
            }
            case GuestFaults.Answer.Trapped _ -> new RunLoopExit.Trapped(index, gpa);
            case GuestFaults.Answer.Failed failed -> failed(index, gpa, failed);
        };
    }

    private RunLoopExit again(long index, long gpa) {
        RunLoopExit stop = triedAt(index, gpa);
        return stop != null ? stop : new RunLoopExit.Again(index);
    }

    /// An access failed in the kernel although its owner says it is mapped. Each time, a zap at
    /// that moment may be the cause; a thread that zaps without a pause can cause that thousands of
    /// times. So the limit is the time of a fault, not a number of retries.
    ///
    /// @return a failure if this lasted too long
    private @Nullable RunLoopExit triedAt(long index, long gpa) {
        long now = System.nanoTime();
        if (failedAt != index) {
            failedAt = index;
            failingSinceNanos = now;
        }
        if (now - failingSinceNanos < faults.patienceNanos()) {
            return null;
        }
        failedAt = -1;
        return new RunLoopExit.Failed(
                index, gpa, new Refusal(Errno.EFAULT, "mapped, but the kernel cannot reach it"));
    }

    /// The address of the first byte of an access on a page of host memory.
    private long pieceAt(long index, long pageHva, long otherwise) {
        long gpa = stub.row().gpaAt(index);
        if (faults.pageHvaOf(gpa) == pageHva) {
            return gpa;
        }
        long last = gpa + stub.row().widthBytes() - 1;
        return Page.baseOf(last) != Page.baseOf(gpa) && faults.pageHvaOf(last) == pageHva
                ? Page.baseOf(last)
                : otherwise;
    }
}
