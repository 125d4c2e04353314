package dev.mdev.vfiouser;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.pci.InterruptSet;
import dev.mdev.core.pci.InterruptSink;
import dev.mdev.core.pci.IrqRequest;
import dev.mdev.core.pci.IrqSupport;
import dev.mdev.core.sys.EventFd;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/// A client's event counters behind the interrupts of its device (`VFIO_DEVICE_SET_IRQS`).
///
/// Used by the session's thread. Drivers signal from other threads, through [InterruptSet], which
/// forgets a counter before it is closed here.
final class ClientInterrupts implements AutoCloseable {
    static final int KINDS = 5;
    private static final int HEADER_BYTES = 20;

    private final Syscalls sys;
    private final InterruptSet set;

    /// The counters of each kind, by vector.
    private final @Nullable ClientEvent[][] bound = new @Nullable ClientEvent[KINDS][];

    /// Those that drivers signal. Changed by the session's thread.
    private final Set<ClientEvent> all = ConcurrentHashMap.newKeySet();

    /// Which kinds have been bound since they were disabled.
    private final boolean[] active = new boolean[KINDS];

    /// Written by the client's KVM when the guest has served the line, or null.
    private @Nullable ClientEvent unmask;

    ClientInterrupts(Syscalls sys, InterruptSet set) {
        this.sys = sys;
        this.set = set;
        for (int index = 0; index < KINDS; index++) {
            bound[index] = new @Nullable ClientEvent[countOf(index)];
        }
    }

    private int countOf(int index) {
        try {
            return set.support(index).count();
        } catch (MdevException e) {
            // A conventional function reports no errors.
            return 0;
        }
    }

    /// The support for one kind.
    ///
    /// @throws MdevException EINVAL if there is no such kind
    IrqSupport support(long index) {
        if (index >= KINDS) {
            throw new MdevException(Errno.EINVAL, "no such kind of interrupt: index=" + index);
        }
        return bound[(int) index].length == 0 ? new IrqSupport(0, 0) : set.support((int) index);
    }

    /// The counter to listen to, or null: it asks for [#unmaskLine].
    @Nullable NativeFd unmaskEvent() {
        return unmask == null ? null : unmask.fd();
    }

    /// Unmasks the line, because [#unmaskEvent] is readable.
    void unmaskLine() {
        ClientEvent event = unmask;
        if (event != null && event.take() != 0 && bound[IrqRequest.INTX].length != 0) {
            try {
                set.setIrqs(IrqRequest.withoutData(IrqRequest.ACTION_UNMASK, IrqRequest.INTX, 1));
            } catch (MdevException e) {
                // The line is not in use: there is nothing to unmask.
                return;
            }
        }
    }

    /// Carries out a request.
    ///
    /// @throws MdevException EINVAL if it is malformed, or not possible now; nothing changes then
    void apply(Message message) {
        message.require(HEADER_BYTES);
        int flags = (int) message.u32(4);
        long index = message.u32(8);
        long start = message.u32(12);
        long count = message.u32(16);
        checkFds(message, flags, count);
        List<NativeFd> fds = message.takeFds();
        List<ClientEvent> events = new ArrayList<>();
        boolean kept = false;
        try {
            // Before anything is allocated by a number of the client.
            checkRange(index, start, count);
            for (NativeFd fd : fds) {
                events.add(new ClientEvent(EventFd.adopt(sys, fd)));
            }
            IrqRequest request =
                    new IrqRequest(
                            argszOf(message, flags, count),
                            flags,
                            (int) index,
                            start,
                            count,
                            boolsOf(message, flags, count),
                            sinksOf(flags, count, events));
            kept = apply(request, events);
        } catch (MdevException e) {
            throw e.errno() == Errno.EINVAL || e.errno() == Errno.EBADF
                    ? e
                    : new MdevException(Errno.EINVAL, e.getMessage(), e);
        } finally {
            if (!kept) {
                events.forEach(this::close);
                fds.forEach(NativeFd::close);
            }
        }
    }

    private static void checkFds(Message message, int flags, long count) {
        boolean takesFds = (flags & IrqRequest.DATA_EVENTFD) != 0;
        int given = message.fdCount();
        if (given != 0 && (!takesFds || given != count)) {
            throw new MdevException(
                    Errno.EINVAL,
                    "flags=0x%x count=%d descriptors=%d".formatted(flags, count, given));
        }
    }

    private void checkRange(long index, long start, long count) {
        long there = index < KINDS ? bound[(int) index].length : 0;
        if (start >= there || count > there - start) {
            throw new MdevException(
                    Errno.EINVAL,
                    "no such vectors: index=%d start=%d count=%d".formatted(index, start, count));
        }
    }

    /// In this protocol, counters are no part of the structure: its size says nothing of them.
    private static long argszOf(Message message, int flags, long count) {
        long dataBytes = Math.min(message.u32(0), message.bodyBytes()) - HEADER_BYTES;
        boolean events = (flags & IrqRequest.DATA_EVENTFD) != 0;
        return HEADER_BYTES + (events ? count * Integer.BYTES : Math.min(dataBytes, count));
    }

    private static List<Boolean> boolsOf(Message message, int flags, long count) {
        if ((flags & IrqRequest.DATA_BOOL) == 0) {
            return List.of();
        }
        List<Boolean> bools = new ArrayList<>();
        long there = Math.min(count, argszOf(message, flags, count) - HEADER_BYTES);
        for (long i = 0; i < there; i++) {
            long at = Message.inMemory(HEADER_BYTES + i);
            bools.add(Wire.load(message.memory(), at, 1) != 0);
        }
        return bools;
    }

    private static List<Optional<InterruptSink>> sinksOf(
            int flags, long count, List<ClientEvent> events) {
        if ((flags & IrqRequest.DATA_EVENTFD) == 0) {
            return List.of();
        }
        if (events.isEmpty()) {
            return Collections.nCopies((int) count, Optional.empty());
        }
        return events.stream().map(event -> Optional.<InterruptSink>of(event::signal)).toList();
    }

    /// @return whether the counters are in use now
    private boolean apply(IrqRequest request, List<ClientEvent> events) {
        int index = request.index();
        boolean binds = (request.flags() & IrqRequest.DATA_EVENTFD) != 0;
        if (isDisabling(request) && !isInUse(index)) {
            return false;
        }
        all.addAll(events);
        set.setIrqs(request);
        if (isDisabling(request)) {
            forget(index);
            return false;
        }
        if (!binds) {
            return false;
        }
        if ((request.flags() & IrqRequest.ACTION_UNMASK) != 0) {
            closeUnmask();
            unmask = events.isEmpty() ? null : events.getFirst();
            return true;
        }
        for (int i = 0; i < request.count(); i++) {
            int vector = (int) request.start() + i;
            close(bound[index][vector]);
            bound[index][vector] = events.isEmpty() ? null : events.get(i);
        }
        active[index] = true;
        return true;
    }

    private boolean isInUse(int index) {
        return active[index];
    }

    private static boolean isDisabling(IrqRequest request) {
        return request.flags() == (IrqRequest.DATA_NONE | IrqRequest.ACTION_TRIGGER)
                && request.count() == 0
                && request.start() == 0;
    }

    private void forget(int index) {
        for (int vector = 0; vector < bound[index].length; vector++) {
            close(bound[index][vector]);
            bound[index][vector] = null;
        }
        active[index] = false;
        if (index == IrqRequest.INTX) {
            closeUnmask();
        }
    }

    private void closeUnmask() {
        close(unmask);
        unmask = null;
    }

    private void close(@Nullable ClientEvent event) {
        if (event != null) {
            event.close();
            all.remove(event);
        }
    }

    /// Called from time to time by another thread: a counter that the client has filled holds
    /// nobody for long.
    void rescue(long nowNanos) {
        all.forEach(event -> event.rescue(nowNanos));
    }

    /// Whether the client listens to requests for the device.
    boolean hearsRequests() {
        return bound[IrqRequest.REQUEST][0] != null;
    }

    /// Unbinds everything.
    @Override
    public void close() {
        for (int index = 0; index < KINDS; index++) {
            if (active[index]) {
                disable(index);
                forget(index);
            }
        }
        closeUnmask();
    }

    private void disable(int index) {
        try {
            set.setIrqs(IrqRequest.disable(index));
        } catch (MdevException e) {
            // Bound to nothing: there is nothing to unbind.
            return;
        }
    }
}
