package dev.mdev.core.engine.kvm.mm;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.sys.Libc;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.LinuxAbi.Pollfd;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.core.sys.UserfaultfdAbi;
import dev.mdev.core.sys.UserfaultfdAbi.Msg;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;

/// Answers the faults of one reserved range, one after the other, on a thread of its own.
///
/// Each event gets exactly one answer in all cases. If the page is mapped, the faulting thread is
/// woken. Otherwise, a virtual processor gets the outcome and is interrupted; any other thread
/// (also the kernel in a processor's place) finds the page poisoned. No fault stays asleep.
///
/// The thread is a platform thread: it blocks in `poll`, and must run when all carriers of virtual
/// threads are themselves blocked in page faults. It allocates and may wait for a garbage
/// collection, so no Java code may touch the range: a Java thread that sleeps in a page fault does
/// not reach a safepoint, and the collection would never begin.
final class UffdFaultLoop {
    /// Events taken at a time. The rest waits in the kernel.
    private static final int BATCH = 16;

    private static final int STOP = 0;
    private static final int FAULT = Pollfd.SIZE;

    private final Libc libc;
    private final Userfaultfd uffd;
    private final NativeFd stopEvent;
    private final Answers answers;
    private final KvmCounters counters;
    private final Thread thread;
    private volatile boolean stopping;

    /// The loop's callbacks.
    interface Answers {
        /// Makes the page at `hva` accessible, or says why not.
        FaultResult handleFault(long hva, Access access);

        /// Reports to a virtual processor that its fault ends without a mapping.
        ///
        /// @return false if the thread belongs to no virtual processor, or if signals do not end
        ///   its fault
        boolean refuse(int tid, long hva, FaultResult result);

        /// Makes accesses to a page fail from now on, and wakes waiting threads.
        void poison(HvaRange page);
    }

    private UffdFaultLoop(Syscalls sys, Userfaultfd uffd, Answers answers, KvmCounters counters) {
        this.libc = sys.libc();
        this.uffd = uffd;
        this.answers = answers;
        this.counters = counters;
        this.stopEvent = sys.eventfd("stop");
        this.thread = Thread.ofPlatform().daemon().name("mdev-faults").unstarted(this::run);
    }

    /// Starts a loop.
    ///
    /// @param uffd becomes the loop's, unless it cannot start; its thread closes it at the end
    static UffdFaultLoop start(
            Syscalls sys, Userfaultfd uffd, Answers answers, KvmCounters counters) {
        UffdFaultLoop loop = new UffdFaultLoop(sys, uffd, answers, counters);
        try {
            loop.thread.start();
        } catch (Error e) {
            // The system may have no thread left.
            loop.stopEvent.close();
            throw e;
        }
        return loop;
    }

    private void run() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment polled = arena.allocate(2L * Pollfd.SIZE, Long.BYTES);
            polled.set(ValueLayout.JAVA_INT, STOP + Pollfd.FD, stopEvent.number());
            polled.set(ValueLayout.JAVA_SHORT, STOP + Pollfd.EVENTS, (short) LinuxAbi.POLLIN);
            polled.set(ValueLayout.JAVA_INT, FAULT + Pollfd.FD, uffd.fd().number());
            polled.set(ValueLayout.JAVA_SHORT, FAULT + Pollfd.EVENTS, (short) LinuxAbi.POLLIN);
            MemorySegment events = arena.allocate((long) BATCH * Msg.SIZE, Long.BYTES);
            while (!stopping) {
                // EINTR and spurious wake-ups cost a round.
                var _ = libc.poll(polled.address(), 2, -1);
                if (!stopping) {
                    answerSomeSafely(events);
                }
            }
        } finally {
            uffd.close();
            stopEvent.close();
        }
    }

    /// Only a request ends the loop: the end closes the userfaultfd, and from then on an unmapped
    /// page is an ordinary page of zeroes.
    private void answerSomeSafely(MemorySegment events) {
        try {
            answerSome(events);
        } catch (RuntimeException | Error e) {
            counters.internalError();
        }
    }

    private void answerSome(MemorySegment events) {
        long bytes = libc.read(uffd.fd().number(), events.address(), events.byteSize());
        for (long at = 0; at < bytes && !stopping; at += Msg.SIZE) {
            MemorySegment event = events.asSlice(at, Msg.SIZE);
            if (event.get(ValueLayout.JAVA_BYTE, Msg.EVENT)
                    == UserfaultfdAbi.UFFD_EVENT_PAGEFAULT) {
                answerOrWake(event);
            }
        }
    }

    private void answerOrWake(MemorySegment event) {
        try {
            answer(event);
        } catch (RuntimeException | Error e) {
            counters.internalError();
            // It faults again, and so do others: the whole batch is awake.
            long hva = event.get(ValueLayout.JAVA_LONG, Msg.ADDRESS);
            uffd.wake(HvaRange.ofPages(Page.baseOf(hva), 1));
        }
    }

    private void answer(MemorySegment event) {
        counters.event();
        long hva = event.get(ValueLayout.JAVA_LONG, Msg.ADDRESS);
        long flags = event.get(ValueLayout.JAVA_LONG, Msg.FLAGS);
        int tid = event.get(ValueLayout.JAVA_INT, Msg.PTID);
        Access access =
                (flags & UserfaultfdAbi.UFFD_PAGEFAULT_FLAG_WRITE) == 0
                        ? Access.READ
                        : Access.WRITE;
        FaultResult result = outcome(hva, access);
        HvaRange page = HvaRange.ofPages(Page.baseOf(hva), 1);
        switch (result) {
            case FaultResult.Mapped _ -> uffd.wake(page);
            case FaultResult.Trapped _, FaultResult.Failed _ -> {
                counters.refused();
                if (!stopping && !answers.refuse(tid, hva, result)) {
                    counters.poisoned();
                    answers.poison(page);
                }
            }
        }
    }

    private FaultResult outcome(long hva, Access access) {
        try {
            return answers.handleFault(hva, access);
        } catch (RuntimeException | Error e) {
            // A thread that sleeps in the fault must get an answer, and the loop must continue.
            counters.internalError();
            return new FaultResult.Failed(
                    Errno.EIO, "answering hva=0x%x threw %s".formatted(hva, e));
        }
    }

    /// Ends the loop; called once. The caller must have woken all threads that sleep in a fault of
    /// the range, to find other content there: no event is answered any more.
    ///
    /// @param patience how long to wait for the owner of the range, if it is deciding right now;
    ///   the thread ends when it returns
    void stop(Duration patience) {
        if (stopping) {
            return;
        }
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment one = scratch.allocate(ValueLayout.JAVA_LONG);
            one.set(ValueLayout.JAVA_LONG, 0, 1);
            // Before the flag: the thread closes the event after it has seen the flag.
            var _ = libc.write(stopEvent.number(), one.address(), Long.BYTES);
        }
        stopping = true;
        if (Thread.currentThread().equals(thread)) {
            return;
        }
        try {
            var _ = thread.join(patience);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /// Whether the thread has ended.
    boolean isStopped() {
        return !thread.isAlive();
    }
}
