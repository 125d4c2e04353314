package dev.mdev.gpu;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.GuestMemory;
import dev.mdev.api.Interrupts;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevException;
import dev.mdev.api.ReportLevel;
import dev.mdev.api.register.RegisterBlock;

import org.jspecify.annotations.Nullable;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/// One device's command queue: a ring in guest memory, its registers, and the command in progress.
///
/// Two threads meet here. The host calls the register methods, one at a time; the engine's thread
/// calls [#step] and [#armIfIdle]. The engine works *without* this lock, because DMA and revocation
/// may call back to this device; it takes its work under the lock, and records the result under the
/// lock again. All its work is a step ([MdevContext#runStep]), so that the host keeps it out of a
/// reset, a save and the end.
final class CommandQueue implements RegisterBlock {

    /// Bytes that one unit of work moves.
    static final int UNIT_BYTES = 64;

    /// Units that fetching a command costs, so that empty commands have a cost.
    static final long COMMAND_UNITS = 16;

    /// The maximum number of bytes of one step: it bounds the wait of a reset.
    private static final long STEP_BYTES = 1 << 16;

    private final MdevContext context;
    private final Vram vram;
    private final Doorbell doorbell;
    private final FencePage fencePage;
    private final GuestMemory guestMemory;
    private final FenceTarget fenceTarget;
    private final Interrupts interrupts;
    private final Blitter blitter;

    @GuardedBy("this")
    private final QueueState state;

    /// The start that the current round works for.
    @GuardedBy("this")
    private int roundGeneration;

    // For operators: since creation, across resets by the guest.

    @GuardedBy("this")
    private long units;

    @GuardedBy("this")
    private long commands;

    @GuardedBy("this")
    private long errors;

    CommandQueue(Vram vram, Doorbell doorbell, FencePage fencePage, MdevContext context) {
        this.context = context;
        this.vram = vram;
        this.doorbell = doorbell;
        this.fencePage = fencePage;
        this.guestMemory = context.guestMemory();
        this.fenceTarget = new FenceTarget(guestMemory);
        this.interrupts = context.interrupts();
        this.blitter = new Blitter(vram, guestMemory);
        this.state = new QueueState(weight());
    }

    /// A share of the engine as large as that of the guaranteed VRAM: 1 for 16 MiB, 2 for 32 MiB,
    /// and so on.
    int weight() {
        return (int) Math.max(1, Long.highestOneBit(vram.guaranteedBytes()) >> 24);
    }

    // The engine's side.

    /// Begins a round: a queue that is started later waits for the next.
    synchronized void beginRound() {
        roundGeneration = state.generation;
    }

    /// Does one step of work.
    ///
    /// @param budgetUnits the maximum cost of moving bytes
    /// @return units of work done; 0 if there is nothing to do, or the device must stand still, or
    ///   waits for pages of its VRAM
    long step(long budgetUnits) {
        AtomicLong used = new AtomicLong();
        var _ =
                context.runStep(() -> {
                    Now now = now();
                    if (now != null) {
                        used.set(work(now, budgetUnits));
                        count(used.get());
                    }
                });
        return used.get();
    }

    /// Arms the doorbell, so that the guest's next store to it wakes the engine.
    ///
    /// @return whether there is nothing to do; false if the device must stand still, and the engine
    ///   must check again
    boolean armIfIdle() {
        beginRound();
        AtomicBoolean idle = new AtomicBoolean();
        return context.runStep(() -> idle.set(armed())) && idle.get();
    }

    private boolean armed() {
        Now now = now();
        if (now == null) {
            return true;
        }
        try {
            if (doorbell.isLive()) {
                doorbell.arm();
            }
            return now.job == null && doorbell.tail() == now.head;
        } catch (MdevException e) {
            // The next step finds it again and stops the queue.
            return false;
        }
    }

    /// The input of a step.
    private record Now(
            int generation,
            int head,
            long commandAddress,
            long ringEntries,
            @Nullable Command job,
            long jobDoneBytes) {}

    /// The position of the queue, or null if it has nothing to do in this round.
    private synchronized @Nullable Now now() {
        if (!state.isEnabled() || state.generation != roundGeneration) {
            return null;
        }
        int head = (int) state.get(QueueState.HEAD);
        long entries = state.get(QueueState.RING_ENTRIES);
        long index = Integer.toUnsignedLong(head) & (entries - 1);
        return new Now(
                state.generation,
                head,
                state.get(QueueState.RING_BASE) + index * Command.SIZE,
                entries,
                state.job,
                state.jobDoneBytes);
    }

    private synchronized void count(long used) {
        state.set(QueueState.WORK_UNITS, state.get(QueueState.WORK_UNITS) + used);
        units += used;
    }

    private long work(Now now, long budgetUnits) {
        try {
            Command job = now.job;
            if (job == null) {
                return fetch(now);
            }
            long most = Math.min(STEP_BYTES, budgetUnits * UNIT_BYTES);
            long moved = blitter.move(job, now.jobDoneBytes, most);
            advance(now, job, now.jobDoneBytes + moved);
            return Math.ceilDiv(moved, UNIT_BYTES);
        } catch (MdevException e) {
            switch (e.errno()) {
                // The device must stand still. A later step repeats this one.
                case ECANCELED -> {}
                case EIO, ENOSPC, ETIMEDOUT -> failInside(now, e);
                default -> fail(now, QueueError.DMA_FAULT);
            }
        } catch (RuntimeException e) {
            // A bug, which must stop this device and not the engine.
            failInside(now, e);
        }
        return COMMAND_UNITS;
    }

    private void failInside(Now now, RuntimeException e) {
        context.report(ReportLevel.ERROR, "the engine failed at %s: %s".formatted(now, e));
        fail(now, QueueError.INTERNAL);
    }

    private long fetch(Now now) {
        int pending = doorbell.tail() - now.head;
        if (pending == 0) {
            return 0;
        }
        if (Integer.toUnsignedLong(pending) > now.ringEntries) {
            fail(now, QueueError.BAD_TAIL);
            return COMMAND_UNITS;
        }
        MemorySegment bytes = MemorySegment.ofArray(new byte[Command.SIZE]);
        guestMemory.read(now.commandAddress, bytes);
        Command command = Command.decode(bytes);
        QueueError error = command.check(vram.sizeBytes());
        if (error != QueueError.NONE) {
            fail(now, error);
            return COMMAND_UNITS;
        }
        if (command.opcode() == Command.FENCE) {
            publish(command);
        }
        advance(now, command, 0);
        return COMMAND_UNITS;
    }

    /// Reports a fence where guests read without a request: before the register and the interrupt.
    private void publish(Command fence) {
        if (fence.storesFence()) {
            fenceTarget.store(fence.destination(), fence.fence());
        }
        fencePage.publish(fence.fence());
    }

    /// Records the progress of a command.
    private synchronized void advance(Now now, Command command, long doneBytes) {
        if (state.generation != now.generation) {
            return;
        }
        if (doneBytes < command.totalBytes()) {
            state.setJob(command, doneBytes);
            return;
        }
        state.setJob(null, 0);
        state.set(QueueState.HEAD, now.head + 1L);
        commands++;
        if (command.opcode() == Command.FENCE) {
            state.set(QueueState.FENCE, command.fence());
        }
        if (command.wantsInterrupt()) {
            raiseLocked(QueueState.IRQ_DONE);
        }
    }

    private synchronized void fail(Now now, QueueError error) {
        if (state.generation == now.generation) {
            stopLocked(error);
        }
    }

    @GuardedBy("this")
    private void stopLocked(QueueError error) {
        state.set(QueueState.CONTROL, 0);
        state.set(QueueState.ERROR, error.ordinal());
        state.setJob(null, 0);
        errors++;
        raiseLocked(QueueState.IRQ_ERROR);
    }

    /// Sends the interrupt message unless it is masked. That never blocks, so the lock may be held.
    @GuardedBy("this")
    private void raiseLocked(int bit) {
        state.set(QueueState.IRQ_STATUS, state.get(QueueState.IRQ_STATUS) | bit);
        if ((state.get(QueueState.IRQ_MASK) & bit) != 0) {
            interrupts.trigger(0);
        }
    }

    // The host's side.

    @Override
    public synchronized int widthAt(int offset) {
        return state.widthAt(offset);
    }

    @Override
    public long load(int offset) {
        if (offset == QueueState.TAIL) {
            return Integer.toUnsignedLong(doorbell.tail());
        }
        synchronized (this) {
            return state.load(offset);
        }
    }

    @Override
    public void store(int offset, long value, long mask) {
        switch (offset) {
            case QueueState.TAIL ->
                    doorbell.setTail((int) RegisterBlock.merge(load(offset), value, mask));
            case QueueState.CONTROL -> {
                if ((mask & 1) != 0) {
                    control((value & 1) != 0);
                }
            }
            default -> storeToState(offset, value, mask);
        }
    }

    private void control(boolean enable) {
        if (enable && load(QueueState.CONTROL) == 0) {
            // First, because it may fail. The engine reads only enabled queues.
            doorbell.setTail(0);
        }
        synchronized (this) {
            if (!enable) {
                state.set(QueueState.CONTROL, 0);
            } else if (!state.isEnabled() && state.hasGoodRing()) {
                state.start();
            } else if (!state.isEnabled()) {
                stopLocked(QueueError.BAD_RING);
            }
        }
    }

    private synchronized void storeToState(int offset, long value, long mask) {
        boolean wasQuiet = pendingLocked() == 0;
        state.store(offset, value, mask);
        // Unmasking sends a pending message now.
        if (wasQuiet && pendingLocked() != 0) {
            interrupts.trigger(0);
        }
    }

    @GuardedBy("this")
    private long pendingLocked() {
        return state.get(QueueState.IRQ_STATUS) & state.get(QueueState.IRQ_MASK);
    }

    /// Returns to the state after creation. No step runs.
    void reset() {
        doorbell.reset();
        fencePage.reset();
        synchronized (this) {
            state.reset();
        }
    }

    /// No step runs, so the command's recorded progress matches memory.
    synchronized void save(DataOutput out) throws IOException {
        state.save(out);
    }

    synchronized void restore(DataInput in) throws IOException {
        state.restore(in, vram.sizeBytes());
    }

    synchronized Map<String, Long> counters() {
        return Map.of(
                "engine_work_units", units,
                "engine_commands", commands,
                "engine_errors", errors);
    }
}
