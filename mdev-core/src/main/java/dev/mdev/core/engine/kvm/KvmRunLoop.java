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

/// Runs a row of accesses until it is done or somebody must decide something.
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
/// nobody answers          the watchdog sends the signal: EINTR
/// ```
///
/// An outcome that arrives when the processor is not in that fault any more (it was kicked) is used
/// if the program stands at an access of that page when it is to run again; else it is dropped,
/// since whoever faults anew is answered anew.
final class KvmRunLoop {
    /// How often a page may be refused without the processor coming out. Twice may be by chance:
    /// who is woken together with another faults again.
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

    /// What the watchdog found at its last visit, or -1.
    private long overdueAt = -1;

    private long failedAt = -1;

    /// Which access found which memory broken last.
    private long brokenIndex = -1;

    private long brokenHva;

    /// `System.nanoTime` when the access at `failedAt` first failed.
    private long failingSinceNanos;

    /// The access of which a part was an MMIO exit last, or -1.
    private long mmioIndex = -1;

    /// Whether the owner of its other part, if it has one, was asked and refused it.
    private boolean otherPartRefused;

    KvmRunLoop(StubVcpu stub, VcpuThread thread, GuestFaults faults, KvmCounters counters) {
        this.stub = stub;
        this.thread = thread;
        this.faults = faults;
        this.counters = counters;
    }

    /// An outcome of a fault other than a mapping.
    ///
    /// @param times how often it was told, and the processor did not come out
    private record Refused(long pageHva, FaultResult result, int times) {}

    /// Any thread.
    void kick() {
        kicked = true;
        thread.interrupt();
    }

    /// Gets the processor, which is held, out of the guest. Any other thread.
    void awaitOut() {
        thread.awaitOut();
    }

    /// Any thread.
    ///
    /// @param hva an address on the page that was touched
    /// @param result not a mapping
    /// @return false if the processor was told before and touches the page still: it is the kernel
    ///   that does, in its instruction emulator, and the page is to be poisoned to get it out
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

    /// Interrupts the processor if it runs for longer than the deadline without coming out, which
    /// only a fault that nobody answers can make it do. The watchdog's thread.
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

    RowStop run() {
        while (true) {
            if (kicked) {
                kicked = false;
                return new RowStop.Kicked(stub.position().done());
            }
            int errno = enterGuest();
            RowStop stop = errno == 0 ? afterExit() : afterFailure(errno);
            if (stop != null) {
                return stop;
            }
        }
    }

    private int enterGuest() {
        thread.enter();
        try {
            // From here on, each is told by a signal.
            if (kicked || refusal.get() != null || thread.isHeld()) {
                return Errno.EINTR.code();
            }
            // 0 says that it does not run.
            runningSinceNanos = System.nanoTime() | 1;
            return stub.run();
        } finally {
            runningSinceNanos = 0;
            thread.leave();
        }
    }

    private @Nullable RowStop afterExit() {
        return switch (stub.exitReason()) {
            case KvmVcpuAbi.KVM_EXIT_MMIO ->
                    stub.isRowFinished() ? new RowStop.Finished() : afterMmio();
            case KvmVcpuAbi.KVM_EXIT_DIRTY_RING_FULL ->
                    new RowStop.RingFull(stub.position().done());
            default -> {
                long index = stub.position().done();
                yield new RowStop.Failed(
                        index,
                        stub.row().gpaAt(index),
                        new Refusal(
                                Errno.EIO,
                                "the virtual processor stopped: exitReason=" + stub.exitReason()));
            }
        };
    }

    /// The kernel emulated the access. That is as it should be where no memory is; where memory is,
    /// the emulator could not reach it.
    private @Nullable RowStop afterMmio() {
        Access access = stub.isMmioWrite() ? Access.WRITE : Access.READ;
        StubVcpu.Position position = stub.position();
        // After an emulated store the kernel has moved rip on already.
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
                yield new RowStop.Mmio(index);
            }
            case GuestFaults.Answer.Retry _, GuestFaults.Answer.Changing _ -> again(index, gpa);
            case GuestFaults.Answer.Failed failed -> failed(index, gpa, failed);
        };
    }

    /// The other part of an access of which one part was served already, so that it cannot begin
    /// again. What is memory after all is done here in the emulator's place; what is not is an
    /// exit, for whatever reason.
    private @Nullable RowStop afterSecondMmio(long index, long gpa, Access access) {
        // The next access there asks, whoever the page was poisoned for.
        var _ = faults.unpoison(faults.pageHvaOf(gpa));
        if (otherPartRefused) {
            return new RowStop.Mmio(index);
        }
        MemorySegment value = MemorySegment.ofArray(new long[] {stub.mmioValue()});
        GuestFaults.Answer stop = faults.copy(gpa, access, value.asSlice(0, stub.mmioWidthBytes()));
        if (stop instanceof GuestFaults.Answer.Failed failed
                && failed.refusal().errno() == Errno.EINTR) {
            return failed(index, gpa, failed);
        }
        if (stop != null) {
            return new RowStop.Mmio(index);
        }
        if (access == Access.READ) {
            stub.setMmioValue(value.get(ValueLayout.JAVA_LONG, 0));
        }
        return null;
    }

    /// A fault that an interrupt of this thread ended is no fault, as `KVM_RUN` has it.
    private RowStop failed(long index, long gpa, GuestFaults.Answer.Failed failed) {
        if (failed.refusal().errno() == Errno.EINTR) {
            kicked = false;
            return new RowStop.Interrupted(index);
        }
        return new RowStop.Failed(index, gpa, failed.refusal());
    }

    private @Nullable RowStop afterFailure(int errno) {
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

    private @Nullable RowStop afterSignal() {
        long signalled = thread.takeSignals();
        Refused refused = takeRefusal();
        boolean late = overdue;
        if (refused == null && signalled < 0 && !late) {
            return null;
        }
        StubVcpu.Position position = stub.position();
        if (stub.isIoPending() || !position.atAccess()) {
            // It is in no fault; an access that left the guest is served already.
            return null;
        }
        long index = position.done();
        if (refused != null) {
            RowStop stop = afterRefusal(refused, index);
            if (stop != null) {
                return stop;
            }
        }
        if (signalled >= 0 && !faults.unpoison(signalled) && isBrokenAgain(index, signalled)) {
            counters.broken();
            return new RowStop.Failed(
                    index,
                    pieceAt(index, Page.baseOf(signalled), stub.row().gpaAt(index)),
                    new Refusal(Errno.EHWPOISON, "broken memory at hva=0x%x".formatted(signalled)));
        }
        return late ? afterDeadline(index) : null;
    }

    /// A page may have been poisoned for others, and made usable again since: by another processor,
    /// or because it was granted. Memory that is broken is broken the second time too.
    private boolean isBrokenAgain(long index, long hva) {
        boolean again = brokenIndex == index && brokenHva == hva;
        brokenIndex = again ? -1 : index;
        brokenHva = hva;
        return again;
    }

    private @Nullable RowStop afterRefusal(Refused refused, long index) {
        long gpa = pieceAt(index, refused.pageHva, -1);
        if (gpa < 0) {
            return null;
        }
        return switch (refused.result) {
            case FaultResult.Trapped _ -> new RowStop.Trapped(index, gpa);
            case FaultResult.Failed failed -> new RowStop.Failed(index, gpa, failed.refusal());
            case FaultResult.Mapped _ -> null;
        };
    }

    /// The first time, only note where it is: it may have come far since the watchdog's clock began
    /// to run.
    private @Nullable RowStop afterDeadline(long index) {
        overdue = false;
        if (overdueAt != index) {
            overdueAt = index;
            return null;
        }
        overdueAt = -1;
        counters.overdue();
        return new RowStop.Failed(
                index,
                stub.row().gpaAt(index),
                new Refusal(Errno.ETIMEDOUT, "the fault was not answered within the deadline"));
    }

    /// The kernel could not reach the memory of an access: it is mapped with fewer rights, or it is
    /// being zapped just now, or there is none.
    private @Nullable RowStop afterFault() {
        long index = stub.position().done();
        StubRow row = stub.row();
        long gpa = row.gpaAt(index);
        long next = Page.baseOf(gpa) + Page.SIZE;
        RowStop stop = resolvePiece(index, gpa);
        if (stop == null && gpa + row.widthBytes() > next) {
            stop = resolvePiece(index, next);
        }
        return stop != null ? stop : triedAt(index, gpa);
    }

    private @Nullable RowStop resolvePiece(long index, long gpa) {
        return switch (faults.resolve(gpa, stub.row().access())) {
            case GuestFaults.Answer.NoMemory _, GuestFaults.Answer.Retry _ -> null;
            case GuestFaults.Answer.Changing _ -> {
                // It may take long, and is no failure however often it is tried.
                failedAt = -1;
                yield null;
            }
            case GuestFaults.Answer.Trapped _ -> new RowStop.Trapped(index, gpa);
            case GuestFaults.Answer.Failed failed -> failed(index, gpa, failed);
        };
    }

    private RowStop again(long index, long gpa) {
        RowStop stop = triedAt(index, gpa);
        return stop != null ? stop : new RowStop.Again(index);
    }

    /// An access failed in the kernel though its owner says it is mapped. Each time it should have
    /// been a zap at just that moment; who zaps without a pause may bring that about thousands of
    /// times, so it is not counted, but has as long as any fault.
    ///
    /// @return a failure if this went on for too long
    private @Nullable RowStop triedAt(long index, long gpa) {
        long now = System.nanoTime();
        if (failedAt != index) {
            failedAt = index;
            failingSinceNanos = now;
        }
        if (now - failingSinceNanos < faults.patienceNanos()) {
            return null;
        }
        failedAt = -1;
        return new RowStop.Failed(
                index, gpa, new Refusal(Errno.EFAULT, "mapped, but the kernel cannot reach it"));
    }

    /// The address of an access's first byte that is on a page of host memory.
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
