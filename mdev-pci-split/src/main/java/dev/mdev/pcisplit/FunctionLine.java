package dev.mdev.pcisplit;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.MdevException;
import dev.mdev.pcisplit.function.UioInterrupts;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

/// The function's own interrupt line, which all of its devices share. An interrupt wakes the
/// watches of all devices; the line stays masked until each has seen nothing left to do, because it
/// would come again at once.
final class FunctionLine implements AutoCloseable {
    private final UioInterrupts interrupts;
    private final Consumer<String> ended;
    private final Watcher watcher;

    /// Its holder takes no other lock but the watcher's.
    private final ReentrantLock lock = new ReentrantLock();

    /// The watches whose guests listen.
    @GuardedBy("lock")
    private final Set<Waiting> listening = new HashSet<>();

    /// Of these, the ones that look from time to time.
    @GuardedBy("lock")
    private final Set<Waiting> busy = new HashSet<>();

    /// Whether the interrupts have ended. Then the watches look from time to time.
    private volatile boolean isDead;

    private final LongAdder received = new LongAdder();

    /// A watch that waits for the line.
    interface Waiting {
        /// The line calls this after an interrupt, on its own thread. The watch returns at once,
        /// and looks at the function's registers on the watch's thread.
        void lookNow();
    }

    private FunctionLine(String name, UioInterrupts interrupts, Consumer<String> ended) {
        this.interrupts = interrupts;
        this.ended = ended;
        this.watcher = new Watcher(name, this::run);
    }

    /// @param ended receives at most once, on the line's thread, why no interrupts come any more
    static FunctionLine start(String name, UioInterrupts interrupts, Consumer<String> ended) {
        FunctionLine line = new FunctionLine(name, interrupts, ended);
        line.watcher.start();
        return line;
    }

    /// Interrupts so far.
    long received() {
        return received.sum();
    }

    /// A watch looks from time to time.
    ///
    /// @param listens whether its guest has interrupts enabled: if not, the line need not wait for
    ///   it
    void busy(Waiting watch, boolean listens) {
        lock.lock();
        try {
            if (listens) {
                listening.add(watch);
                busy.add(watch);
            } else {
                listening.remove(watch);
                busy.remove(watch);
                watcher.wake();
            }
        } finally {
            lock.unlock();
        }
    }

    /// A watch of a guest that listens has seen nothing left to do.
    ///
    /// @return whether it may stop looking: an interrupt wakes it
    boolean quiet(Waiting watch) {
        lock.lock();
        try {
            if (isDead) {
                return false;
            }
            listening.add(watch);
            busy.remove(watch);
            watcher.wake();
            return true;
        } finally {
            lock.unlock();
        }
    }

    /// A watch ends.
    void remove(Waiting watch) {
        busy(watch, false);
    }

    private void run() {
        try {
            while (awaitQuiet()) {
                interrupts.unmask();
                if (!interrupts.await()) {
                    return;
                }
                received.increment();
                wakeAll();
            }
        } catch (MdevException e) {
            // The devices keep their interrupts: from now on, the watches look from time to time.
            isDead = true;
            wakeAll();
            ended.accept(e.getMessage());
        }
    }

    private void wakeAll() {
        List<Waiting> woken;
        lock.lock();
        try {
            busy.addAll(listening);
            woken = List.copyOf(listening);
        } finally {
            lock.unlock();
        }
        woken.forEach(Waiting::lookNow);
    }

    /// @return false after [#close]
    private boolean awaitQuiet() {
        while (!isQuiet()) {
            if (!watcher.await(Watcher.FOREVER)) {
                return false;
            }
        }
        return true;
    }

    private boolean isQuiet() {
        lock.lock();
        try {
            return !listening.isEmpty() && busy.isEmpty();
        } finally {
            lock.unlock();
        }
    }

    /// Ends the thread.
    @Override
    public void close() {
        // Its thread waits for an interrupt, or for the watches.
        interrupts.close();
        watcher.close();
    }
}
