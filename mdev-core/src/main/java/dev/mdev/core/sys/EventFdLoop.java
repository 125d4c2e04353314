package dev.mdev.core.sys;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.core.sys.LinuxAbi.Pollfd;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;

/// One thread that waits for event counters which the kernel, or another process, signals, and runs
/// what belongs to each. It starts with the first counter.
///
/// The thread alone closes counters, so none is closed while it waits for it. Any thread may call
/// all methods.
public final class EventFdLoop implements AutoCloseable {
    private final Syscalls sys;
    private final String name;

    /// A leaf.
    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final List<Entry> entries = new ArrayList<>();

    @GuardedBy("lock")
    private final List<Entry> retired = new ArrayList<>();

    @GuardedBy("lock")
    private @Nullable EventFd changed;

    @GuardedBy("lock")
    private @Nullable Thread thread;

    @GuardedBy("lock")
    private boolean closed;

    private record Entry(EventFd event, Runnable action) {
        /// A counter that another process has made block would block the loop: its events are taken
        /// without a wait.
        void takeAll() {
            if (event.drain() > 0) {
                action.run();
            }
        }
    }

    /// @param name of the thread, and of the counters
    public EventFdLoop(Syscalls sys, String name) {
        this.sys = sys;
        this.name = name;
    }

    /// Makes a counter.
    ///
    /// @param action runs on the loop's thread after each signal, once for several; quick, and must
    ///   not throw
    /// @return the counter, until [#remove]
    /// @throws dev.mdev.api.MdevException EMFILE if there are too many descriptors
    public EventFd add(Runnable action) {
        lock.lock();
        try {
            if (closed) {
                throw new IllegalStateException("closed: " + name);
            }
            EventFd event = new EventFd(sys, name);
            try {
                begin();
            } catch (RuntimeException | Error e) {
                event.close();
                throw e;
            }
            entries.add(new Entry(event, action));
            wake();
            return event;
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void begin() {
        if (changed == null) {
            changed = new EventFd(sys, name);
        }
        if (thread == null) {
            EventFd wakeUp = changed;
            thread = Thread.ofPlatform().daemon().name(name).start(() -> run(wakeUp));
        }
    }

    /// Gives a counter up. A signal from before this call still runs its action.
    public void remove(EventFd event) {
        lock.lock();
        try {
            for (Entry entry : List.copyOf(entries)) {
                if (entry.event.equals(event)) {
                    entries.remove(entry);
                    retired.add(entry);
                }
            }
            wake();
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void wake() {
        EventFd wakeUp = changed;
        if (wakeUp != null) {
            wakeUp.signal();
        }
    }

    private void run(EventFd wakeUp) {
        while (true) {
            List<Entry> waiting = current();
            if (waiting == null) {
                wakeUp.close();
                return;
            }
            await(wakeUp, waiting);
        }
    }

    /// The counters to wait for, after an end to those that were given up; null at the end.
    private @Nullable List<Entry> current() {
        List<Entry> over;
        List<Entry> waiting;
        lock.lock();
        try {
            over = List.copyOf(retired);
            retired.clear();
            waiting = closed ? null : List.copyOf(entries);
        } finally {
            lock.unlock();
        }
        for (Entry entry : over) {
            entry.takeAll();
            entry.event.close();
        }
        return waiting;
    }

    private void await(EventFd wakeUp, List<Entry> waiting) {
        try (Arena arena = Arena.ofConfined()) {
            long count = waiting.size() + 1L;
            MemorySegment polled = arena.allocate(count * Pollfd.SIZE, Long.BYTES);
            expect(polled, 0, wakeUp);
            for (int i = 0; i < waiting.size(); i++) {
                expect(polled, i + 1L, waiting.get(i).event);
            }
            // An interruption only costs one more look.
            var _ = sys.libc().poll(polled.address(), count, -1);
            var _ = wakeUp.drain();
            waiting.forEach(Entry::takeAll);
        }
    }

    private static void expect(MemorySegment polled, long index, EventFd event) {
        long at = index * Pollfd.SIZE;
        polled.set(ValueLayout.JAVA_INT, at + Pollfd.FD, event.fd().number());
        polled.set(ValueLayout.JAVA_SHORT, at + Pollfd.EVENTS, (short) LinuxAbi.POLLIN);
    }

    /// Ends the thread, and closes the counters. Has no effect the second time.
    @Override
    public void close() {
        Thread last;
        lock.lock();
        try {
            closed = true;
            retired.addAll(entries);
            entries.clear();
            wake();
            changed = null;
            last = thread;
        } finally {
            lock.unlock();
        }
        boolean interrupted = false;
        while (last != null && last.isAlive()) {
            try {
                last.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
