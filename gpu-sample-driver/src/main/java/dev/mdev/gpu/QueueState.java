package dev.mdev.gpu;

import dev.mdev.api.register.RegisterBlock;
import dev.mdev.api.register.RegisterFile;

import org.jspecify.annotations.Nullable;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.lang.foreign.MemorySegment;

/// The registers of a command queue, offsets within its page, and its current command:
///
/// | offset | register | |
/// |---|---|---|
/// | 0x00 | CONTROL | bit 0: enabled. Setting it starts an empty ring and forgets the last error; an error clears it |
/// | 0x04 | STATUS | bit 0: enabled; bit 1: stopped by an error; bit 2: a command is being done |
/// | 0x08 | RING_BASE | 64 bits, address in guest memory; cannot be changed while enabled |
/// | 0x10 | RING_ENTRIES | commands of 64 bytes; cannot be changed while enabled |
/// | 0x14 | HEAD | read only; commands done since the start |
/// | 0x18 | TAIL | commands given since the start; the same word as the first of the doorbell page |
/// | 0x1c | ERROR | read only, a [QueueError] |
/// | 0x20 | FENCE | read only, 64 bits: the last fence |
/// | 0x28 | IRQ_STATUS | bit 0: a command is done that asked for it; bit 1: an error. Store ones to clear |
/// | 0x2c | IRQ_MASK | which of these send the interrupt message |
/// | 0x30 | WORK_UNITS | read only, 64 bits: units of work done since the reset |
/// | 0x38 | WEIGHT | read only: the device's share of the engine, relative to others |
///
/// Guarded by its queue's lock. The queue itself handles stores to CONTROL and TAIL.
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

    private static final long MAX_ENTRIES = 65536;

    private final RegisterFile registers;

    /// The command in progress, and its progress.
    @Nullable Command job;

    long jobDoneBytes;

    /// Counts starts and resets: a command that began before one must not finish after it.
    int generation;

    QueueState(int weight) {
        registers =
                new RegisterFile()
                        .readOnly(CONTROL, Integer.BYTES, 0)
                        .constant(STATUS, Integer.BYTES, 0)
                        .plain(RING_BASE, Long.BYTES, -1)
                        .plain(RING_ENTRIES, Integer.BYTES, -1)
                        .readOnly(HEAD, Integer.BYTES, 0)
                        .constant(TAIL, Integer.BYTES, 0)
                        .readOnly(ERROR, Integer.BYTES, 0)
                        .readOnly(FENCE, Long.BYTES, 0)
                        .status(IRQ_STATUS, Integer.BYTES, IRQ_DONE | IRQ_ERROR)
                        .plain(IRQ_MASK, Integer.BYTES, IRQ_DONE | IRQ_ERROR)
                        .readOnly(WORK_UNITS, Long.BYTES, 0)
                        .constant(WEIGHT, Integer.BYTES, weight);
    }

    long get(int register) {
        return registers.get(register);
    }

    void set(int register, long value) {
        registers.set(register, value);
    }

    boolean isEnabled() {
        return get(CONTROL) != 0;
    }

    boolean hasGoodRing() {
        long entries = get(RING_ENTRIES);
        return Long.bitCount(entries) == 1
                && entries >= 2
                && entries <= MAX_ENTRIES
                && get(RING_BASE) % Command.SIZE == 0;
    }

    void start() {
        set(CONTROL, 1);
        set(HEAD, 0);
        set(ERROR, QueueError.NONE.ordinal());
        setJob(null, 0);
        generation++;
    }

    void setJob(@Nullable Command command, long doneBytes) {
        job = command;
        jobDoneBytes = doneBytes;
    }

    void reset() {
        start();
        registers.reset();
    }

    @Override
    public int widthAt(int offset) {
        return registers.widthAt(offset);
    }

    @Override
    public long load(int offset) {
        return offset == STATUS
                ? get(CONTROL) | (get(ERROR) != 0 ? 2 : 0) | (job != null ? 4 : 0)
                : registers.load(offset);
    }

    @Override
    public void store(int offset, long value, long mask) {
        boolean isRing = offset == RING_BASE || offset == RING_ENTRIES;
        if (!isRing || !isEnabled()) {
            registers.store(offset, value, mask);
        }
    }

    void save(DataOutput out) throws IOException {
        registers.save(out);
        Command begun = job;
        out.writeBoolean(begun != null);
        if (begun != null) {
            out.write(begun.bytes());
            out.writeLong(jobDoneBytes);
        }
    }

    /// @throws IOException if [#save] cannot have written it; this is half changed then
    void restore(DataInput in, long vramBytes) throws IOException {
        reset();
        registers.restore(in);
        require(get(ERROR) < QueueError.values().length, "error=" + get(ERROR));
        require(get(WORK_UNITS) >= 0, "workUnits=" + get(WORK_UNITS));
        require(get(CONTROL) <= 1, "control=" + get(CONTROL));
        require(!isEnabled() || hasGoodRing(), "enabled with a bad ring");
        if (in.readBoolean()) {
            byte[] bytes = new byte[Command.SIZE];
            in.readFully(bytes);
            Command begun = Command.decode(MemorySegment.ofArray(bytes));
            long done = in.readLong();
            require(begun.check(vramBytes) == QueueError.NONE, "bad command in progress");
            require(done >= 0 && done < begun.totalBytes(), "jobDoneBytes=" + done);
            setJob(begun, done);
        }
    }

    private static void require(boolean condition, String message) throws IOException {
        if (!condition) {
            throw new IOException(message);
        }
    }
}
