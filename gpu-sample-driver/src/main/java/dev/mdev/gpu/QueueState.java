package dev.mdev.gpu;

import org.jspecify.annotations.Nullable;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.lang.foreign.MemorySegment;

/// The registers of a command queue, offsets within its page, and what it is doing:
///
/// | offset | register | |
/// |---|---|---|
/// | 0x00 | CONTROL | bit 0: enabled. Setting it starts an empty ring and forgets the last error; an error clears it |
/// | 0x04 | STATUS | bit 0: enabled; bit 1: stopped by an error; bit 2: a command is being done |
/// | 0x08 | RING_BASE | 64 bits, address in guest memory |
/// | 0x10 | RING_ENTRIES | commands of 64 bytes |
/// | 0x14 | HEAD | read only; commands done since the start |
/// | 0x18 | TAIL | commands given since the start; the same word as the first of the doorbell page |
/// | 0x1c | ERROR | read only, a [QueueError] |
/// | 0x20 | FENCE | read only, 64 bits: the last fence |
/// | 0x28 | IRQ_STATUS | bit 0: a command is done that asked for it; bit 1: an error. Store ones to clear |
/// | 0x2c | IRQ_MASK | which of these send the interrupt message |
/// | 0x30 | WORK_UNITS | read only, 64 bits: units of work done since the reset |
/// | 0x38 | WEIGHT | read only: the device's share of the engine, relative to others |
///
/// Guarded by its queue's lock. CONTROL and TAIL are the queue's own doing.
final class QueueState implements RegisterBlock {
    static final int CONTROL = 0x00;
    static final int STATUS = 0x04;
    static final int RING_BASE = 0x08;
    static final int RING_ENTRIES = 0x10;
    static final int HEAD = 0x14;
    static final int TAIL = 0x18;
    static final int ERROR = 0x1C;
    static final int FENCE = 0x20;
    static final int IRQ_STATUS = 0x28;
    static final int IRQ_MASK = 0x2C;
    static final int WORK_UNITS = 0x30;
    static final int WEIGHT = 0x38;

    static final int IRQ_DONE = 1;
    static final int IRQ_ERROR = 2;

    private static final long MOST_ENTRIES = 65536;

    private final int weight;

    boolean enabled;
    long ringBase;
    long ringEntries;
    int head;
    QueueError error = QueueError.NONE;
    long fence;
    long irqStatus;
    long irqMask;

    /// The command that was begun, and how far it is.
    @Nullable Command job;

    long jobDoneBytes;

    /// Counts starts and resets: what was begun before one is not to be finished after it.
    int generation;

    long workUnits;

    QueueState(int weight) {
        this.weight = weight;
    }

    boolean hasGoodRing() {
        return Long.bitCount(ringEntries) == 1
                && ringEntries >= 2
                && ringEntries <= MOST_ENTRIES
                && ringBase % Command.SIZE == 0;
    }

    void start() {
        enabled = true;
        head = 0;
        error = QueueError.NONE;
        job = null;
        jobDoneBytes = 0;
        generation++;
    }

    void reset() {
        start();
        enabled = false;
        ringBase = 0;
        ringEntries = 0;
        fence = 0;
        irqStatus = 0;
        irqMask = 0;
        workUnits = 0;
    }

    @Override
    public int widthAt(int offset) {
        return widthOf(offset);
    }

    static int widthOf(int offset) {
        return switch (offset & -Long.BYTES) {
            case RING_BASE, FENCE, WORK_UNITS -> Long.BYTES;
            default -> Integer.BYTES;
        };
    }

    @Override
    public long load(int offset) {
        return switch (offset) {
            case CONTROL -> enabled ? 1 : 0;
            case STATUS ->
                    (enabled ? 1 : 0) | (error != QueueError.NONE ? 2 : 0) | (job != null ? 4 : 0);
            case RING_BASE -> ringBase;
            case RING_ENTRIES -> ringEntries;
            case HEAD -> Integer.toUnsignedLong(head);
            case ERROR -> error.ordinal();
            case FENCE -> fence;
            case IRQ_STATUS -> irqStatus;
            case IRQ_MASK -> irqMask;
            case WORK_UNITS -> workUnits;
            case WEIGHT -> weight;
            default -> 0;
        };
    }

    @Override
    public void store(int offset, long value, long mask) {
        switch (offset) {
            case RING_BASE -> {
                if (!enabled) {
                    ringBase = RegisterBlock.merge(ringBase, value, mask);
                }
            }
            case RING_ENTRIES -> {
                if (!enabled) {
                    ringEntries = RegisterBlock.merge(ringEntries, value, mask);
                }
            }
            case IRQ_STATUS -> irqStatus &= ~(value & mask);
            case IRQ_MASK ->
                    irqMask = RegisterBlock.merge(irqMask, value, mask) & (IRQ_DONE | IRQ_ERROR);
            default -> {
                // Read only, or nothing there.
            }
        }
    }

    void save(DataOutput out) throws IOException {
        out.writeBoolean(enabled);
        out.writeLong(ringBase);
        out.writeInt((int) ringEntries);
        out.writeInt(head);
        out.writeByte(error.ordinal());
        out.writeLong(fence);
        out.writeByte((int) irqStatus);
        out.writeByte((int) irqMask);
        out.writeLong(workUnits);
        Command begun = job;
        out.writeBoolean(begun != null);
        if (begun != null) {
            byte[] bytes = new byte[Command.SIZE];
            begun.encode(MemorySegment.ofArray(bytes));
            out.write(bytes);
            out.writeLong(jobDoneBytes);
        }
    }

    /// @throws IOException if it is nothing that [#save] writes; this is half changed then
    void restore(DataInput in, long vramBytes) throws IOException {
        reset();
        boolean wasEnabled = in.readBoolean();
        ringBase = in.readLong();
        ringEntries = Integer.toUnsignedLong(in.readInt());
        head = in.readInt();
        int code = in.readUnsignedByte();
        require(code < QueueError.values().length, "error=" + code);
        error = QueueError.values()[code];
        fence = in.readLong();
        irqStatus = in.readUnsignedByte() & (IRQ_DONE | IRQ_ERROR);
        irqMask = in.readUnsignedByte() & (IRQ_DONE | IRQ_ERROR);
        workUnits = in.readLong();
        require(workUnits >= 0, "workUnits=" + workUnits);
        if (in.readBoolean()) {
            byte[] bytes = new byte[Command.SIZE];
            in.readFully(bytes);
            Command begun = Command.decode(MemorySegment.ofArray(bytes));
            jobDoneBytes = in.readLong();
            require(begun.check(vramBytes) == QueueError.NONE, "bad command under way");
            require(
                    jobDoneBytes >= 0 && jobDoneBytes < begun.totalBytes(),
                    "jobDoneBytes=" + jobDoneBytes);
            job = begun;
        }
        require(!wasEnabled || hasGoodRing(), "enabled with a bad ring");
        enabled = wasEnabled;
    }

    private static void require(boolean condition, String message) throws IOException {
        if (!condition) {
            throw new IOException(message);
        }
    }
}
