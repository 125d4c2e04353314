package dev.mdev.core.engine.kvm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.core.sync.GuestHold;
import dev.mdev.core.sys.KvmVcpuAbi;
import dev.mdev.core.sys.KvmVcpuAbi.SignalMask;
import dev.mdev.core.sys.Libc;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.LinuxAbi.Siginfo;
import dev.mdev.core.sys.LinuxAbi.Sigset;
import dev.mdev.core.sys.LinuxAbi.Timespec;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// The thread of a virtual processor, and the signals that force it out of `KVM_RUN`.
///
/// SIGUSR1 is blocked in the thread, except while the processor runs (`KVM_SET_SIGNAL_MASK`). A
/// kick is SIGUSR1 to this thread. If the thread runs the processor, or sleeps in a page fault of
/// the guest, `KVM_RUN` returns EINTR; otherwise the signal stays pending and the next `KVM_RUN`
/// returns at once. No handler ever runs, so none is installed without the knowledge of the Java
/// machine: the thread takes the signal with `sigtimedwait`. The flag `immediate_exit` of `struct
/// kvm_run` cannot replace it: it does not wake a thread.
///
/// SIGBUS is treated in the same way. The kernel sends it, with the page's address, to the thread
/// when the guest accesses a page that is poisoned, by us or by a memory error of the host. In the
/// Java machine's own handler it would end the process.
final class VcpuThread implements AutoCloseable {
    private final Libc libc;
    private final GuestHold hold;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment signals = arena.allocate(Sigset.SIZE, Long.BYTES);
    private final MemorySegment formerMask = arena.allocate(Sigset.SIZE, Long.BYTES);
    private final MemorySegment info = arena.allocate(Siginfo.SIZE, Long.BYTES);
    private final MemorySegment noTime = arena.allocate(Timespec.SIZE, Long.BYTES);

    private @Nullable Thread thread;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition left = lock.newCondition();

    /// The kernel's number of the thread between [#enter] and [#leave], otherwise 0.
    @GuardedBy("lock")
    private int runningTid;

    private int tid;

    VcpuThread(Libc libc, GuestHold hold) {
        this.libc = libc;
        this.hold = hold;
        signals.set(
                ValueLayout.JAVA_LONG,
                0,
                Sigset.bit(LinuxAbi.SIGUSR1) | Sigset.bit(LinuxAbi.SIGBUS));
    }

    /// Makes the calling thread the processor's own, unless there is one already.
    ///
    /// @throws IllegalStateException if the processor has another thread
    void bind(NativeFd vcpu) {
        if (Thread.currentThread().equals(thread)) {
            return;
        }
        if (thread != null) {
            throw new IllegalStateException("a virtual processor belongs to one thread: " + thread);
        }
        if (Thread.currentThread().isVirtual()) {
            throw new IllegalStateException("a virtual processor needs a platform thread");
        }
        int errno =
                libc.pthreadSigmask(LinuxAbi.SIG_BLOCK, signals.address(), formerMask.address());
        if (errno != 0) {
            throw Syscalls.failure(errno, "pthread_sigmask");
        }
        MemorySegment mask =
                arena.allocate(SignalMask.SIGSET + SignalMask.KERNEL_SIGSET_SIZE, Long.BYTES);
        mask.set(ValueLayout.JAVA_INT, SignalMask.LEN, SignalMask.KERNEL_SIGSET_SIZE);
        mask.set(
                ValueLayout.JAVA_LONG_UNALIGNED,
                SignalMask.SIGSET,
                formerMask.get(ValueLayout.JAVA_LONG, 0) & ~signals.get(ValueLayout.JAVA_LONG, 0));
        if (libc.ioctl(vcpu.number(), KvmVcpuAbi.KVM_SET_SIGNAL_MASK, mask.address()) < 0) {
            throw Syscalls.failure(libc.errno(), "KVM_SET_SIGNAL_MASK fd=" + vcpu);
        }
        tid = libc.gettid();
        thread = Thread.currentThread();
    }

    /// The kernel's number of the thread, or 0.
    int tid() {
        return tid;
    }

    /// Waits until the processor may enter the guest. From then on, [#interrupt] sends a signal;
    /// the caller must then check [#isHeld].
    void enter() {
        hold.awaitReleased();
        setRunning(tid);
    }

    /// Whether the processor must stay out of the guest now.
    boolean isHeld() {
        return hold.isHeld();
    }

    /// From here on, it sends none.
    void leave() {
        setRunning(0);
    }

    private void setRunning(int newTid) {
        lock.lock();
        try {
            runningTid = newTid;
            left.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /// Forces the thread out of `KVM_RUN` if it is there or about to enter. Any thread.
    void interrupt() {
        lock.lock();
        try {
            interruptLocked();
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void interruptLocked() {
        if (runningTid != 0) {
            // The thread cannot end before it takes the lock to leave, so the number is still its
            // own.
            var _ = libc.tgkill(libc.getpid(), runningTid, LinuxAbi.SIGUSR1);
        }
    }

    /// Forces the thread out of `KVM_RUN`, and returns when it is out. Any other thread; the
    /// processor is held, so that it stays out.
    void awaitOut() {
        lock.lock();
        try {
            interruptLocked();
            while (runningTid != 0) {
                // Not interruptible, like a change of slots.
                left.awaitUninterruptibly();
            }
        } finally {
            lock.unlock();
        }
    }

    /// Takes all pending signals.
    ///
    /// @return the address of broken memory that the guest accessed, or -1
    long takeSignals() {
        long brokenHva = -1;
        while (true) {
            int signal = libc.sigtimedwait(signals.address(), info.address(), noTime.address());
            if (signal < 0) {
                return brokenHva;
            }
            if (signal == LinuxAbi.SIGBUS) {
                brokenHva = info.get(ValueLayout.JAVA_LONG, Siginfo.ADDR);
            }
        }
    }

    /// Unblocks the thread's signals again. Called by the thread itself, or by any thread if none
    /// was bound.
    @Override
    public void close() {
        if (Thread.currentThread().equals(thread)) {
            takeSignals();
            var _ = libc.pthreadSigmask(LinuxAbi.SIG_SETMASK, formerMask.address(), 0);
        }
        arena.close();
    }
}
