package dev.mdev.pcisplit;

import dev.mdev.api.Interrupts;
import dev.mdev.api.IrqInfo;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevException;
import dev.mdev.api.ReportLevel;
import dev.mdev.pcisplit.description.Description.InterruptSource;
import dev.mdev.pcisplit.description.Description.Register;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

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
    private final MdevContext context;
    private final Interrupts interrupts;
    private final @Nullable FunctionLine line;
    private final List<Look> looks = new ArrayList<>();
    private final Watcher watcher;

    /// Whether the function has interrupted since the last look.
    private final AtomicBoolean isAsked = new AtomicBoolean();

    /// Whether the thread looks at nothing until the function interrupts; used by the thread.
    private boolean rests;

    private InterruptWatch(List<InterruptSource> sources, SplitParent parent, MdevContext context) {
        this.sources = sources;
        this.parent = parent;
        this.context = context;
        this.interrupts = context.interrupts();
        this.line = parent.line();
        for (InterruptSource source : sources) {
            looks.add(new Look(looks.size(), source));
        }
        this.watcher = new Watcher("pci-split-irq-" + context.uuid(), this::run);
    }

    static InterruptWatch start(
            List<InterruptSource> sources, SplitParent parent, MdevContext context) {
        InterruptWatch watch = new InterruptWatch(sources, parent, context);
        watch.watcher.start();
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
            if (asserted) {
                interrupts.setLine(false);
            }
            if (parent.gone() == null) {
                context.report(ReportLevel.ERROR, "no interrupts any more: " + e.getMessage());
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
        isAsked.set(true);
        watcher.wake();
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
        boolean asked = isAsked.getAndSet(false);
        while (rests && !asked) {
            if (!watcher.await(Watcher.FOREVER)) {
                return false;
            }
            asked = isAsked.getAndSet(false);
        }
        if (asked) {
            looks.forEach(look -> look.isTaken = false);
        }
        // Also after an interrupt: one that nobody takes care of must not keep a processor.
        long rest;
        do {
            long now = System.nanoTime();
            rest = looks.stream().mapToLong(look -> look.nextNanos - now).min().orElse(0);
            if (!watcher.await(rest)) {
                return false;
            }
        } while (rest > 0);
        return true;
    }

    /// Ends the watch; it looks no more when this returns.
    @Override
    public void close() {
        watcher.close();
    }
}
