package dev.mdev.gpu;

import dev.mdev.api.LinearMemory.Layouts;
import dev.mdev.api.page.Page;
import dev.mdev.gate.Deadlines;
import dev.mdev.testkit.InMemoryMdev;

import java.lang.foreign.MemorySegment;
import java.time.Duration;

/// A guest's driver for the sample GPU, as tests need it: a ring in guest memory, commands, the
/// doorbell.
final class GpuGuest {
    static final int VRAM = GpuDevice.VRAM_BAR;
    static final int MMIO = GpuDevice.MMIO_BAR;
    static final int QUEUE = GpuDevice.QUEUE_BAR;

    /// Offset of the queue's registers in their BAR.
    static final long REGISTERS = Page.bytesOf(GpuDevice.REGISTER_PAGE);

    static final long RING = 0x10_0000;
    static final int RING_ENTRIES = 64;

    static final Duration PATIENCE = Deadlines.HANG;

    private final InMemoryMdev mdev;
    private int tail;

    /// Runs rounds until there is no more work.
    static void drain(Engine engine) {
        for (int round = 0; engine.runRound() > 0; round++) {
            if (round > 10_000) {
                throw new AssertionError("the engine never comes to an end");
            }
        }
    }

    GpuGuest(InMemoryMdev mdev) {
        this.mdev = mdev;
    }

    InMemoryMdev mdev() {
        return mdev;
    }

    /// Starts the queue, with interrupts for done commands and errors.
    void start() {
        setQueue(QueueState.CONTROL, 0);
        storeLong(QueueState.RING_BASE, RING);
        setQueue(QueueState.RING_ENTRIES, RING_ENTRIES);
        setQueue(QueueState.IRQ_STATUS, 3);
        setQueue(QueueState.IRQ_MASK, 3);
        setQueue(QueueState.CONTROL, 1);
        tail = 0;
    }

    /// Puts a command into the ring; the engine sees it by the next [#ring].
    void put(Command command) {
        putRaw(command.bytes());
    }

    void putRaw(byte[] command) {
        long address = RING + (long) (tail & (RING_ENTRIES - 1)) * Command.SIZE;
        mdev.guestMemory().poke(address, MemorySegment.ofArray(command));
        tail++;
    }

    /// Rings the doorbell through its page.
    void ring() {
        mdev.guest().store(QUEUE, 0, 4, tail);
    }

    /// Commands in the ring that are not done.
    int pending() {
        return tail - (int) queue(QueueState.HEAD);
    }

    int tail() {
        return tail;
    }

    void resumeAt(int newTail) {
        tail = newTail;
    }

    long queue(int register) {
        return mdev.guest().load(QUEUE, REGISTERS + register, 4);
    }

    long queueLong(int register) {
        return mdev.guest().load(QUEUE, REGISTERS + register, 8);
    }

    void setQueue(int register, long value) {
        mdev.guest().store(QUEUE, REGISTERS + register, 4, value);
    }

    private void storeLong(int register, long value) {
        mdev.guest().store(QUEUE, REGISTERS + register, 8, value);
    }

    /// The last fence, as the guest sees it without leaving its processor.
    long fencePage() {
        return mdev.guest().load(QUEUE, Page.bytesOf(GpuDevice.FENCE_PAGE), 8);
    }

    QueueError error() {
        return QueueError.values()[(int) queue(QueueState.ERROR)];
    }

    void dispi(int index, int value) {
        mdev.guest().store(MMIO, GpuDisplay.DISPI + 2L * index, 2, value);
    }

    int dispi(int index) {
        return (int) mdev.guest().load(MMIO, GpuDisplay.DISPI + 2L * index, 2);
    }

    /// Sets a mode as Linux's `bochs` driver does.
    void setMode(int width, int height, int bitsPerPixel) {
        dispi(Dispi.ENABLE, 0);
        dispi(Dispi.BPP, bitsPerPixel);
        dispi(Dispi.XRES, width);
        dispi(Dispi.YRES, height);
        dispi(Dispi.BANK, 0);
        dispi(Dispi.VIRT_WIDTH, width);
        dispi(Dispi.VIRT_HEIGHT, height);
        dispi(Dispi.X_OFFSET, 0);
        dispi(Dispi.Y_OFFSET, 0);
        dispi(Dispi.ENABLE, Dispi.ENABLED | 0x40);
    }

    /// All of VRAM, through BAR 0.
    byte[] loadVram(int lengthBytes) {
        byte[] bytes = new byte[lengthBytes];
        MemorySegment to = MemorySegment.ofArray(bytes);
        for (int i = 0; i < lengthBytes; i += 8) {
            to.set(Layouts.LONG, i, mdev.guest().load(VRAM, i, 8));
        }
        return bytes;
    }

    void storeVram(long offset, byte[] bytes) {
        for (int i = 0; i < bytes.length; i++) {
            mdev.guest().store(VRAM, offset + i, 1, bytes[i]);
        }
    }

    static Command nop() {
        return command(Command.NOP, 0, 0, 0, 0, 0, Rows.NONE);
    }

    static Command fill(int value, Rows to) {
        return command(Command.FILL, 0, value, 0, 0, 0, to);
    }

    static Command copy(int opcode, Rows to, long source, long sourcePitch) {
        return command(opcode, 0, 0, source, sourcePitch, 0, to);
    }

    static Command fence(long value) {
        return command(Command.FENCE, Command.INTERRUPT, 0, 0, 0, value, Rows.NONE);
    }

    static Command fenceTo(long value, long address) {
        Rows to = new Rows(address, 0, 0, 0);
        return command(Command.FENCE, Command.STORE_FENCE, 0, 0, 0, value, to);
    }

    private static Command command(
            int opcode, int flags, int value, long source, long sourcePitch, long fence, Rows to) {
        MemorySegment bytes = MemorySegment.ofArray(new byte[Command.SIZE]);
        bytes.set(Layouts.INT, 0x00, opcode | (flags << 16));
        bytes.set(Layouts.INT, 0x04, value);
        bytes.set(Layouts.LONG, 0x08, to.start);
        bytes.set(Layouts.LONG, 0x10, source);
        bytes.set(Layouts.INT, 0x18, (int) to.pitch);
        bytes.set(Layouts.INT, 0x1C, (int) sourcePitch);
        bytes.set(Layouts.INT, 0x20, (int) to.rowBytes);
        bytes.set(Layouts.INT, 0x24, (int) to.rows);
        bytes.set(Layouts.LONG, 0x28, fence);
        return Command.decode(bytes);
    }

    /// Where rows are.
    record Rows(long start, long pitch, long rowBytes, long rows) {
        static final Rows NONE = new Rows(0, 0, 0, 0);

        static Rows of(long start, long bytes) {
            return new Rows(start, 0, bytes, 1);
        }

        static Rows pages(long page, long npages) {
            return of(Page.bytesOf(page), Page.bytesOf(npages));
        }
    }
}
