package dev.mdev.core.engine.kvm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;
import dev.mdev.api.page.Access;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.engine.kvm.stub.StubVcpu;
import dev.mdev.core.memslot.VcpuMemslots;
import dev.mdev.core.sys.KvmVcpuAbi;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.core.x86.SmmState;

import java.util.function.BooleanSupplier;

/// A kernel's processor on its way into and out of system management mode. For its thread.
///
/// The memory of the handler belongs to the guest, so its content is never executed: a signal that
/// is pending when `KVM_RUN` begins lets the kernel enter the mode, and ends the run before the
/// first instruction. RSM runs as a single step. After both, the processor gets the registers of
/// its own program, which then runs in the new mode. So a guest program may write anything to the
/// saved state.
final class KvmSmm {
    /// The kernel enters the mode at the first run, unless another event comes first.
    private static final int MAX_RUNS = 64;

    private final StubVcpu stub;
    private final VcpuThread thread;
    private final VcpuMemslots slots;
    private final BooleanSupplier kicks;

    /// Whether the kernel has an interrupt that it has not delivered.
    private boolean requested;

    /// @param kicks whether a thread kicked the processor since the last question
    KvmSmm(StubVcpu stub, VcpuThread thread, VcpuMemslots slots, BooleanSupplier kicks) {
        this.stub = stub;
        this.thread = thread;
        this.slots = slots;
        this.kicks = kicks;
    }

    boolean isInSmm() {
        return slots.isInSmm();
    }

    int asId() {
        return slots.asId();
    }

    void setSmbase(long next) {
        stub.setSmbase(next);
    }

    long smbase() {
        return stub.smbase();
    }

    /// Whether the kernel has an interrupt that it has not delivered.
    boolean isWaiting() {
        return requested;
    }

    VcpuExit smi() {
        if (!slots.spaces().config().supportsSmm()) {
            throw new MdevException(Errno.ENOTTY, "no system management mode");
        }
        stub.park();
        stub.requestSmi();
        requested = true;
        return deliver();
    }

    /// Delivers an interrupt that waits, if the processor is outside the mode.
    VcpuExit deliver() {
        for (int runs = 0; requested && !slots.isInSmm(); runs++) {
            int errno = runToEvents();
            if (errno == 0 && stub.exitReason() == KvmVcpuAbi.KVM_EXIT_DIRTY_RING_FULL) {
                stub.park();
                return new VcpuExit.DirtyRingFull();
            }
            if (errno != Errno.EINTR.code()) {
                throw failed(errno);
            }
            if (stub.isInSmm()) {
                requested = false;
                enterMode(true);
            } else if (kicks.getAsBoolean()) {
                stub.park();
                return new VcpuExit.Interrupted();
            } else if (runs == MAX_RUNS) {
                throw new MdevException(Errno.EIO, "the kernel delivers no interrupt: " + runs);
            }
        }
        return new VcpuExit.Done();
    }

    VcpuExit rsm() {
        if (!slots.isInSmm()) {
            return fault(Errno.EINVAL, "RSM outside system management mode: invalid opcode");
        }
        stub.startRsm();
        int reason;
        try {
            int errno = step();
            if (errno == Errno.EINTR.code()) {
                return new VcpuExit.Interrupted();
            }
            reason = stub.exitReason();
        } finally {
            stub.endRsm();
            stub.park();
        }
        if (reason == KvmVcpuAbi.KVM_EXIT_DIRTY_RING_FULL) {
            return new VcpuExit.DirtyRingFull();
        }
        return afterRsm(reason == KvmVcpuAbi.KVM_EXIT_DEBUG);
    }

    /// Executes the RSM instruction.
    ///
    /// @return 0, or EINTR if a thread kicked the processor before
    private int step() {
        while (true) {
            int errno = run(false);
            if (errno == 0 || (errno == Errno.EINTR.code() && kicks.getAsBoolean())) {
                return errno;
            }
            if (errno != Errno.EINTR.code()) {
                throw failed(errno);
            }
        }
    }

    /// A failed load has become a triple fault, which the kernel reports only now. An interrupt
    /// that has waited is delivered now, too.
    private VcpuExit afterRsm(boolean executed) {
        int errno = runToEvents();
        if (errno != 0 && errno != Errno.EINTR.code()) {
            throw failed(errno);
        }
        boolean loaded = executed && errno != 0;
        boolean inSmm = stub.isInSmm();
        if (loaded && inSmm) {
            requested = false;
        }
        enterMode(inSmm);
        if (loaded) {
            // What keeps an interrupt away that waits, the next run reports.
            var _ = deliver();
            return new VcpuExit.Done();
        }
        return inSmm
                ? fault(Errno.EFAULT, "RSM: the saved state cannot be read")
                : fault(Errno.EIO, "RSM: the saved state cannot be loaded");
    }

    private void enterMode(boolean inSmm) {
        slots.setInSmm(inSmm);
        try {
            stub.parkInNewMode();
        } catch (MdevException e) {
            throw e.errno() == Errno.EIO ? failed(Errno.EIO.code()) : e;
        }
    }

    /// Lets the kernel deliver events, without running the guest.
    private int runToEvents() {
        return run(true);
    }

    private int run(boolean onlyEvents) {
        thread.enter();
        try {
            if (thread.isHeld()) {
                return Errno.EINTR.code();
            }
            if (onlyEvents) {
                thread.interrupt();
            }
            return stub.run();
        } finally {
            thread.leave();
            var _ = thread.takeSignals();
        }
    }

    private MdevException failed(int errno) {
        if (errno == Errno.EIO.code()) {
            String cause =
                    "vcpu=%d: entry to system management mode: the state cannot be written"
                            .formatted(slots.vcpuId());
            slots.spaces().kill(cause);
            return new MdevException(Errno.EIO, cause);
        }
        return Syscalls.failure(errno, "KVM_RUN fd=" + stub.fd());
    }

    private VcpuExit.Fault fault(Errno errno, String reason) {
        return new VcpuExit.Fault(
                stub.smbase() + SmmState.OFFSET_FROM_SMBASE,
                Access.READ,
                new Refusal(errno, reason));
    }
}
