package dev.mdev.core.vm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.core.pci.Interrupt;
import dev.mdev.core.pci.InterruptObserver;
import dev.mdev.core.pci.InterruptSet;
import dev.mdev.core.pci.IrqRequest;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;

/// The interrupts that a device sent to its guest. The machine has no interrupt controller: this
/// counts them, and passes them to listeners.
///
/// All methods may be called by any thread.
public final class DeviceInterrupts {
    private final List<InterruptObserver> observers = new CopyOnWriteArrayList<>();
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition counted = lock.newCondition();

    private final int vectors;

    @GuardedBy("lock")
    private final long[] messages;

    @GuardedBy("lock")
    private final Interrupt.@Nullable Message[] last;

    @GuardedBy("lock")
    private long lines;

    @GuardedBy("lock")
    private long releaseRequests;

    private volatile Optional<InterruptSet> set = Optional.empty();

    DeviceInterrupts(int vectors) {
        this.vectors = vectors;
        messages = new long[vectors];
        last = new Interrupt.Message[vectors];
    }

    void connect(InterruptSet interruptSet) {
        set = Optional.of(interruptSet);
    }

    /// Adds a listener, which receives every interrupt from now on.
    public void addObserver(InterruptObserver observer) {
        observers.add(observer);
    }

    void interrupted(Interrupt interrupt) {
        lock.lock();
        try {
            switch (interrupt) {
                case Interrupt.Message message -> {
                    messages[message.vector()]++;
                    last[message.vector()] = message;
                }
                case Interrupt.Line _ -> lines++;
                case Interrupt.ReleaseRequest _ -> releaseRequests++;
            }
            counted.signalAll();
        } finally {
            lock.unlock();
        }
        observers.forEach(observer -> observer.interrupted(interrupt));
    }

    /// Vectors of MSI or MSI-X, the larger number.
    public int vectors() {
        return vectors;
    }

    /// The number of messages of a vector, by MSI or MSI-X.
    ///
    /// @throws IndexOutOfBoundsException if there is no such vector
    public long count(int vector) {
        lock.lock();
        try {
            return messages[Objects.checkIndex(vector, vectors)];
        } finally {
            lock.unlock();
        }
    }

    /// The last message of a vector.
    ///
    /// @throws IndexOutOfBoundsException if there is no such vector
    public Optional<Interrupt.Message> lastMessage(int vector) {
        lock.lock();
        try {
            return Optional.ofNullable(last[Objects.checkIndex(vector, vectors)]);
        } finally {
            lock.unlock();
        }
    }

    /// How often the legacy line interrupted.
    public long lineCount() {
        lock.lock();
        try {
            return lines;
        } finally {
            lock.unlock();
        }
    }

    /// How often the host requested the device.
    public long releaseRequests() {
        lock.lock();
        try {
            return releaseRequests;
        } finally {
            lock.unlock();
        }
    }

    /// Waits until a vector has sent at least `count` messages in total.
    ///
    /// @return whether it has
    /// @throws IndexOutOfBoundsException if there is no such vector
    public boolean await(int vector, long count, Duration timeout) throws InterruptedException {
        Objects.checkIndex(vector, vectors());
        return await(() -> count(vector) >= count, timeout);
    }

    /// Waits until the line has interrupted at least `count` times in total.
    ///
    /// @return whether it has
    public boolean awaitLine(long count, Duration timeout) throws InterruptedException {
        return await(() -> lineCount() >= count, timeout);
    }

    private boolean await(BooleanSupplier reached, Duration timeout) throws InterruptedException {
        long nanos = timeout.toNanos();
        lock.lockInterruptibly();
        try {
            while (!reached.getAsBoolean()) {
                if (nanos <= 0) {
                    return false;
                }
                nanos = counted.awaitNanos(nanos);
            }
            return true;
        } finally {
            lock.unlock();
        }
    }

    /// Ends an interrupt of the line, as the end-of-interrupt write to an interrupt controller
    /// does: if the device still asserts the line, it interrupts again.
    ///
    /// @throws dev.mdev.api.MdevException EINVAL if the guest has not chosen the line
    public void endOfLineInterrupt() {
        set.ifPresent(interrupts ->
                interrupts.setIrqs(
                        IrqRequest.withoutData(IrqRequest.ACTION_UNMASK, IrqRequest.INTX, 1)));
    }
}
