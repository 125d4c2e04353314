package dev.mdev.testkit;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Interrupts;
import dev.mdev.api.IrqInfo;

import org.jspecify.annotations.Nullable;

import java.time.Duration;

/// The interrupts that a device raised.
///
/// Any threads may use it at once.
public final class RecordedInterrupts implements Interrupts {
    private final InMemoryHost host;
    private volatile boolean closed;

    @GuardedBy("this")
    private final long[] messages = new long[2048];

    @GuardedBy("this")
    private IrqInfo info = IrqInfo.NONE;

    @GuardedBy("this")
    private boolean line;

    @GuardedBy("this")
    private @Nullable Kind enabled;

    @GuardedBy("this")
    private long questions;

    RecordedInterrupts(InMemoryHost host) {
        this.host = host;
    }

    @Override
    public synchronized boolean isEnabled(Kind kind) {
        questions++;
        return kind == enabled;
    }

    /// How often the driver asked what the guest listens to. A driver that looks for interrupts
    /// asks at each look.
    public synchronized long questions() {
        return questions;
    }

    /// Chooses the kind of interrupt that the guest uses; at first the most modern one that the
    /// device announced. It records valid and invalid triggers.
    public synchronized void enable(@Nullable Kind kind) {
        enabled = kind;
    }

    @Override
    public synchronized void trigger(int vector) {
        requireOpen("trigger");
        if (vector < 0 || vector >= Math.max(info.msiVectors(), info.msixVectors())) {
            throw host.violation("vector=%d of %s".formatted(vector, info));
        }
        messages[vector]++;
        notifyAll();
    }

    @Override
    public synchronized void setLine(boolean asserted) {
        requireOpen("setLine");
        if (!info.intx()) {
            throw host.violation("setLine of a device without a line");
        }
        line = asserted;
        notifyAll();
    }

    /// The number of messages of a vector so far.
    public synchronized long count(int vector) {
        return messages[vector];
    }

    /// Whether the legacy line is asserted.
    public synchronized boolean line() {
        return line;
    }

    /// Waits until a vector has been triggered `least` times.
    ///
    /// @throws ContractViolation if that does not happen in time
    public synchronized void await(int vector, long least, Duration atMost) {
        long end = System.nanoTime() + atMost.toNanos();
        while (messages[vector] < least) {
            long leftMillis = (end - System.nanoTime()) / 1_000_000;
            if (leftMillis <= 0) {
                throw new ContractViolation(
                        "vector=%d triggered %d times, expected %d"
                                .formatted(vector, messages[vector], least));
            }
            try {
                wait(leftMillis);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException("interrupted", e);
            }
        }
    }

    synchronized void announce(IrqInfo announced) {
        info = announced;
        if (info.msixVectors() > 0) {
            enabled = Kind.MSIX;
        } else if (info.msiVectors() > 0) {
            enabled = Kind.MSI;
        } else {
            enabled = info.intx() ? Kind.LINE : null;
        }
    }

    void close() {
        closed = true;
    }

    private void requireOpen(String what) {
        if (closed) {
            throw host.violation(what + " after close");
        }
    }
}
