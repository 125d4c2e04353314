package dev.mdev.pcisplit;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Interrupts;
import dev.mdev.api.IrqInfo;
import dev.mdev.api.MdevException;
import dev.mdev.pcisplit.description.Description.InterruptSource;
import dev.mdev.pcisplit.description.Description.Register;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// Raises a device's interrupts: looks at registers of the function from time to time, or, if the
/// function's own interrupts come ([FunctionLine]), from one of those until nothing is left to do.
///
/// A bit that appears sends the source's message. While it stays, the message is repeated: a bit
/// that went and came between two looks may be another event. The line is asserted as long as a bit
/// is there; where the driver clears the bits itself, there is no line.
final class InterruptWatch implements FunctionLine.Waiting, AutoCloseable {
    /// Looks from one message to the next while a bit stays.
    private static final int REPEAT = 8;

    private final List<InterruptSource> sources;
    private final SplitParent parent;
    private final Interrupts interrupts;
    private final @Nullable FunctionLine line;
    private final List<Look> looks = new ArrayList<>();
    private final Thread thread;

    /// A leaf.
    private final ReentrantLock lock = new ReentrantLock();

    private final Condition ended = lock.newCondition();

    @GuardedBy("lock")
    private boolean isClosed;

    /// Whether the function has interrupted since the last look.
    @GuardedBy("lock")
    private boolean isAsked;

    /// Whether the thread looks at nothing until the function interrupts; used by the thread.
    private boolean rests;

    private InterruptWatch(
            String name, List<InterruptSource> sources, SplitParent parent, Interrupts interrupts) {
        this.sources = sources;
        this.parent = parent;
        this.interrupts = interrupts;
        this.line = parent.line();
        for (InterruptSource source : sources) {
            looks.add(new Look(looks.size(), source));
        }
        this.thread = Thread.ofPlatform().daemon().name(name).unstarted(this::run);
    }

    static InterruptWatch start(
            String name, List<InterruptSource> sources, SplitParent parent, Interrupts interrupts) {
        InterruptWatch watch = new InterruptWatch(name, sources, parent, interrupts);
        watch.thread.start();
        return watch;
    }

    /// The interrupts of a type: a message for each source, in a number that MSI can have.
    static IrqInfo irqs(List<InterruptSource> sources) {
        if (sources.isEmpty()) {
            return IrqInfo.NONE;
        }
        int highest = Integer.highestOneBit(sources.size());
        boolean hasLine = sources.stream().allMatch(source -> source.clear().isEmpty());
        return new IrqInfo(hasLine, highest == sources.size() ? highest : highest << 1, 0);
    }

    private void run() {
        boolean hasLine = irqs(sources).intx();
        boolean asserted = false;
        try {
            while (awaitNext()) {
                boolean heard = isHeard();
                looks.stream().filter(Look::isDue).forEach(look -> look.take(heard));
                boolean pending = looks.stream().anyMatch(look -> look.seen != 0);
                if (hasLine && pending != asserted) {
                    asserted = pending;
                    interrupts.setLine(asserted);
                }
                if (line != null) {
                    rest(line, heard, pending);
                }
            }
        } catch (MdevException e) {
            // The function is gone, or does not let itself be read: the parent's watch tells of it.
            if (asserted) {
                interrupts.setLine(false);
            }
        } finally {
            if (line != null) {
                line.remove(this);
            }
        }
    }

    private boolean isHeard() {
        return interrupts.isEnabled(Interrupts.Kind.MSI)
                || interrupts.isEnabled(Interrupts.Kind.LINE);
    }

    private void rest(FunctionLine from, boolean heard, boolean pending) {
        boolean isDone = heard && !pending && looks.stream().allMatch(look -> look.isTaken);
        rests = isDone && from.quiet(this);
        if (!rests) {
            from.busy(this, heard);
        }
    }

    @Override
    public void lookNow() {
        lock.lock();
        try {
            isAsked = true;
            ended.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /// What is known of a source; used by the thread.
    private final class Look {
        private final int vector;
        private final InterruptSource source;
        private long nextNanos = System.nanoTime();
        private long seen;
        private int looksSinceMessage;

        /// Since the function interrupted.
        private boolean isTaken;

        Look(int vector, InterruptSource source) {
            this.vector = vector;
            this.source = source;
        }

        boolean isDue() {
            return nextNanos - System.nanoTime() <= 0;
        }

        void take(boolean heard) {
            isTaken = true;
            nextNanos = System.nanoTime() + TimeUnit.MICROSECONDS.toNanos(source.everyMicros());
            long bits = heard ? load() : 0;
            looksSinceMessage++;
            if ((bits & ~seen) != 0 || (bits != 0 && looksSinceMessage >= REPEAT)) {
                source.clear().ifPresent(place -> parent.memory().store(place, bits));
                interrupts.trigger(vector);
                looksSinceMessage = 0;
            }
            seen = source.clear().isPresent() ? 0 : bits;
        }

        private long load() {
            parent.requireThere();
            long value = parent.memory().load(source.status());
            if (value == Register.allOnes(source.status().widthBytes())) {
                parent.requireAnswer();
            }
            return value & source.bits();
        }
    }

    /// @return false if the watch is closed
    private boolean awaitNext() {
        lock.lock();
        try {
            while (rests && !isAsked && !isClosed) {
                ended.await();
            }
            if (isAsked) {
                isAsked = false;
                looks.forEach(look -> look.isTaken = false);
            }
            // Also after an interrupt: one that nobody takes care of must not keep a processor.
            long now = System.nanoTime();
            long rest = looks.stream().mapToLong(look -> look.nextNanos - now).min().orElse(0);
            while (!isClosed && rest > 0) {
                rest = ended.awaitNanos(rest);
            }
            return !isClosed;
        } catch (InterruptedException e) {
            // Nobody but the end of the process interrupts this thread.
            return false;
        } finally {
            lock.unlock();
        }
    }

    /// Ends the watch; it looks no more when this returns.
    @Override
    public void close() {
        lock.lock();
        try {
            isClosed = true;
            ended.signalAll();
        } finally {
            lock.unlock();
        }
        FunctionWatch.awaitEnd(thread);
    }
}
