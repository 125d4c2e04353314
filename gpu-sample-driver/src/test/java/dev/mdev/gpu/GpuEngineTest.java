package dev.mdev.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.LinearMemory.Layouts;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.gpu.GpuGuest.Rows;
import dev.mdev.testkit.FaultInjector;
import dev.mdev.testkit.InMemoryHost;
import dev.mdev.testkit.InMemoryMdev;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;

/// The engine's work, round by round, on the test's own thread.
final class GpuEngineTest {
    private static final long MIB = 1 << 20;
    private static final long DATA = 0x20_0000;

    private final InMemoryHost host =
            new InMemoryHost(new GpuParentDriver(false), Map.of("types-mib", "1,16"));
    private final Engine engine = ((GpuParent) host.parent().device()).engine();
    private final InMemoryMdev mdev = host.parent().create("gpu-sample-1m");
    private final GpuGuest guest = new GpuGuest(mdev);

    @BeforeEach
    void start() {
        guest.start();
    }

    @AfterEach
    void close() {
        host.close();
    }

    private void run(Command... commands) {
        for (Command command : commands) {
            guest.put(command);
        }
        guest.ring();
        drain();
    }

    private void drain() {
        GpuGuest.drain(engine);
    }

    @Test
    void fencesTellWhereTheEngineIs() {
        run(GpuGuest.nop(), GpuGuest.fence(0x1_2345_6789L));
        assertThat(guest.queueLong(QueueState.FENCE)).isEqualTo(0x1_2345_6789L);
        assertThat(guest.queue(QueueState.HEAD)).isEqualTo(2);
        assertThat(mdev.interrupts().count(0)).isEqualTo(1);
        assertThat(guest.queue(QueueState.IRQ_STATUS)).isEqualTo(QueueState.IRQ_DONE);
        guest.setQueue(QueueState.IRQ_STATUS, QueueState.IRQ_DONE);
        assertThat(guest.queue(QueueState.IRQ_STATUS)).isZero();
        run(GpuGuest.fenceTo(77, DATA + 3));
        byte[] word = new byte[8];
        mdev.guestMemory().peek(DATA + 3, MemorySegment.ofArray(word));
        assertThat(word).containsExactly(77, 0, 0, 0, 0, 0, 0, 0);
        assertThat(mdev.interrupts().count(0)).isEqualTo(1);
    }

    @Test
    void aMaskedInterruptIsSentWhenItIsUnmasked() {
        guest.setQueue(QueueState.IRQ_MASK, 0);
        run(GpuGuest.fence(1));
        assertThat(mdev.interrupts().count(0)).isZero();
        guest.setQueue(QueueState.IRQ_MASK, QueueState.IRQ_DONE);
        assertThat(mdev.interrupts().count(0)).isEqualTo(1);
    }

    /// Random commands, checked against arrays; rows overlap, wrap the ring, and cross pages.
    @Test
    void commandsDoWhatArraysDo() {
        SplittableRandom random = new SplittableRandom(host.seed());
        byte[] vram = new byte[(int) MIB];
        byte[] ram = new byte[(int) MIB];
        random.nextBytes(ram);
        mdev.guestMemory().poke(DATA, MemorySegment.ofArray(ram));
        for (int i = 0; i < 300; i++) {
            Command command = randomCommand(random);
            model(command, vram, ram);
            run(command);
            assertThat(guest.error())
                    .as("%s seed=%d", command, host.seed())
                    .isEqualTo(QueueError.NONE);
        }
        byte[] seen = new byte[ram.length];
        mdev.guestMemory().peek(DATA, MemorySegment.ofArray(seen));
        assertThat(Arrays.mismatch(seen, ram)).as("seed=%d", host.seed()).isEqualTo(-1);
        assertThat(Arrays.mismatch(guest.loadVram(vram.length), vram))
                .as("seed=%d", host.seed())
                .isEqualTo(-1);
        assertThat(guest.queue(QueueState.HEAD)).isEqualTo(300);
    }

    private static Command randomCommand(SplittableRandom random) {
        long rowBytes = 1 + random.nextLong(random.nextBoolean() ? 64 : 9000);
        long rows = 1 + random.nextLong(20);
        long pitch = rowBytes + random.nextLong(500);
        long span = pitch * rows;
        long a = random.nextLong(MIB - span);
        // Often near each other, so that they overlap.
        long b =
                random.nextBoolean()
                        ? random.nextLong(MIB - span)
                        : Math.clamp(a + random.nextLong(-2000, 2000), 0, MIB - span);
        return switch (random.nextInt(4)) {
            case 0 -> GpuGuest.fill(random.nextInt(), new Rows(a, pitch, rowBytes, rows));
            case 1 -> GpuGuest.copy(Command.BLIT, new Rows(a, pitch, rowBytes, rows), b, pitch);
            case 2 ->
                    GpuGuest.copy(
                            Command.COPY_IN,
                            new Rows(a, pitch, rowBytes, rows),
                            DATA + b,
                            rowBytes);
            default ->
                    GpuGuest.copy(
                            Command.COPY_OUT,
                            new Rows(DATA + a, pitch, rowBytes, rows),
                            b,
                            rowBytes);
        };
    }

    private static void model(Command c, byte[] vram, byte[] ram) {
        byte[] before = c.opcode() == Command.COPY_IN ? ram.clone() : vram.clone();
        long fromBase = c.opcode() == Command.COPY_IN ? DATA : 0;
        byte[] to = c.opcode() == Command.COPY_OUT ? ram : vram;
        long toBase = c.opcode() == Command.COPY_OUT ? DATA : 0;
        for (int row = 0; row < c.rows(); row++) {
            for (int i = 0; i < c.rowBytes(); i++) {
                int at = (int) (c.destination() - toBase + row * c.destinationPitch()) + i;
                to[at] =
                        c.opcode() == Command.FILL
                                ? (byte) (c.value() >>> (8 * (i & 3)))
                                : before[(int) (c.source() - fromBase + row * c.sourcePitch()) + i];
            }
        }
    }

    /// The same test card, drawn by the guest's processor and by the engine.
    @Test
    void aTestCardIsTheSameThroughBarZeroAndThroughTheEngine() {
        int width = 320;
        int height = 240;
        InMemoryMdev other = host.parent().create("gpu-sample-1m");
        GpuGuest byHand = new GpuGuest(other);
        byHand.setMode(width, height, 32);
        guest.setMode(width, height, 32);
        int[] bars = {0xFFFFFF, 0xFFFF00, 0x00FFFF, 0x00FF00, 0xFF00FF, 0xFF0000, 0x0000FF, 0};
        for (int i = 0; i < bars.length; i++) {
            long start = 4L * i * width / bars.length;
            run(GpuGuest.fill(bars[i], new Rows(start, 4L * width, 4L * width / 8, 180)));
        }
        uploadRamp(width);
        // The lower part is the ramp, copied line by line from the first.
        run(
                GpuGuest.copy(
                        Command.COPY_IN,
                        new Rows(4L * width * 180, 4L * width, 4L * width, 60),
                        DATA,
                        0));
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int rgb = y < 180 ? bars[x * 8 / width] : ramp(x);
                other.guest().store(GpuGuest.VRAM, 4L * (y * width + x), 4, rgb);
            }
        }
        assertThat(mdev.picture().orElseThrow().rgb())
                .isEqualTo(other.picture().orElseThrow().rgb());
        assertThat(mdev.picture().orElseThrow().rgb()[239 * width + 319]).isEqualTo(ramp(319));
    }

    private void uploadRamp(int width) {
        byte[] line = new byte[4 * width];
        for (int x = 0; x < width; x++) {
            MemorySegment.ofArray(line).set(Layouts.INT, 4L * x, ramp(x));
        }
        mdev.guestMemory().poke(DATA, MemorySegment.ofArray(line));
    }

    private static int ramp(int x) {
        return (x & 0xFF) * 0x01_01_01;
    }

    @Test
    void malformedCommandsStopTheQueueAndSayWhy() {
        Rows page = Rows.of(0, Page.SIZE);
        expect(QueueError.BAD_OPCODE, with(GpuGuest.nop(), 0, 6));
        expect(QueueError.BAD_OPCODE, with(GpuGuest.nop(), 0, 0xFFFF));
        expect(QueueError.BAD_FIELD, with(GpuGuest.nop(), 2, 4));
        expect(QueueError.BAD_FIELD, with(GpuGuest.nop(), 0x3F, 1));
        for (Rows bad :
                List.of(
                        new Rows(0, 0, 0, 1),
                        new Rows(0, 0, 4, 0),
                        new Rows(MIB - 3, 0, 4, 1),
                        new Rows(-1, 0, 4, 1),
                        new Rows(Long.MIN_VALUE, 0, 4, 1),
                        new Rows(Long.MAX_VALUE, 0, 4, 1),
                        new Rows(0, 3, 4, 2),
                        new Rows(0, 0, 1, 0xFFFF_FFFFL),
                        new Rows(0, 0xFFFF_FFFFL, 4, 0xFFFF_FFFFL),
                        new Rows(0, 1024, 1024, 1025),
                        new Rows(0, 0, 0xFFFF_FFFFL, 1))) {
            expect(QueueError.BAD_RANGE, GpuGuest.fill(0, bad));
            expect(QueueError.BAD_RANGE, GpuGuest.copy(Command.COPY_IN, bad, DATA, 0));
            expect(QueueError.BAD_RANGE, GpuGuest.copy(Command.BLIT, bad, 0, bad.pitch()));
            Rows good = new Rows(0, bad.pitch(), bad.rowBytes(), bad.rows());
            expect(
                    QueueError.BAD_RANGE,
                    GpuGuest.copy(
                            Command.COPY_OUT,
                            new Rows(DATA, good.pitch(), good.rowBytes(), good.rows()),
                            bad.start(),
                            bad.pitch()));
        }
        expect(QueueError.DMA_FAULT, GpuGuest.copy(Command.COPY_IN, page, -64, 0));
        expect(QueueError.DMA_FAULT, GpuGuest.copy(Command.COPY_IN, page, 1L << 60, 0));
        expect(QueueError.DMA_FAULT, GpuGuest.copy(Command.COPY_OUT, Rows.of(-1, 8), 0, 0));
        expect(QueueError.DMA_FAULT, GpuGuest.fenceTo(1, -1));
    }

    /// Bytes of a command, one of which is changed.
    private static byte[] with(Command command, int offset, int value) {
        byte[] bytes = command.bytes();
        bytes[offset] = (byte) value;
        bytes[offset + 1 < Command.SIZE ? offset + 1 : offset] |= (byte) (value >>> 8);
        return bytes;
    }

    private void expect(QueueError error, Command command) {
        expect(error, command.bytes());
    }

    private void expect(QueueError error, byte[] command) {
        guest.start();
        long before = mdev.interrupts().count(0);
        guest.put(GpuGuest.nop());
        guest.putRaw(command);
        guest.put(GpuGuest.fence(99));
        guest.ring();
        drain();
        assertThat(guest.error()).isEqualTo(error);
        assertThat(guest.queue(QueueState.STATUS)).isEqualTo(2);
        assertThat(guest.queue(QueueState.HEAD)).isEqualTo(1);
        assertThat(guest.queue(QueueState.IRQ_STATUS)).isEqualTo(QueueState.IRQ_ERROR);
        assertThat(mdev.interrupts().count(0)).isEqualTo(before + 1);
        assertThat(guest.queueLong(QueueState.FENCE)).isNotEqualTo(99);
    }

    @Test
    void badRingsAndTailsAreErrors() {
        for (long entries : new long[] {0, 1, 3, 63, 131072, 0xFFFF_FFFFL}) {
            guest.setQueue(QueueState.CONTROL, 0);
            guest.setQueue(QueueState.RING_ENTRIES, entries);
            guest.setQueue(QueueState.CONTROL, 1);
            assertThat(guest.error()).isEqualTo(QueueError.BAD_RING);
        }
        for (int tail : new int[] {GpuGuest.RING_ENTRIES + 1, -1, Integer.MIN_VALUE}) {
            guest.start();
            guest.resumeAt(tail);
            guest.ring();
            drain();
            assertThat(guest.error()).isEqualTo(QueueError.BAD_TAIL);
        }
    }

    @Test
    void theRingCannotBeMovedWhileTheQueueRuns() {
        guest.setQueue(QueueState.RING_BASE, 0);
        guest.setQueue(QueueState.RING_ENTRIES, 2);
        assertThat(guest.queueLong(QueueState.RING_BASE)).isEqualTo(GpuGuest.RING);
        assertThat(guest.queue(QueueState.RING_ENTRIES)).isEqualTo(GpuGuest.RING_ENTRIES);
    }

    @Test
    void withoutBusMasteringTheQueueStops() {
        mdev.guestMemory().setBusMaster(false);
        run(GpuGuest.nop());
        assertThat(guest.error()).isEqualTo(QueueError.DMA_FAULT);
    }

    @Test
    void theDoorbellIsAlsoARegister() {
        guest.put(GpuGuest.fence(5));
        guest.setQueue(QueueState.TAIL, guest.tail());
        assertThat(mdev.guest().load(GpuGuest.QUEUE, 0, 4)).isEqualTo(1);
        drain();
        assertThat(guest.queueLong(QueueState.FENCE)).isEqualTo(5);
    }

    @Test
    void aRingBeforeTheDoorbellIsArmedIsSeenAndOneAfterItFaults() {
        run(GpuGuest.fence(1));
        assertThat(mdev.isMapped(GpuGuest.QUEUE, 0)).isTrue();
        guest.put(GpuGuest.fence(2));
        guest.ring();
        assertThat(engine.armAll()).as("nothing to do").isFalse();
        drain();
        assertThat(guest.queueLong(QueueState.FENCE)).isEqualTo(2);
        assertThat(engine.armAll()).as("nothing to do").isTrue();
        assertThat(mdev.isMapped(GpuGuest.QUEUE, 0)).isFalse();
        long before = mdev.guest().faults();
        guest.put(GpuGuest.fence(3));
        guest.ring();
        assertThat(mdev.guest().faults()).isEqualTo(before + 1);
        drain();
        assertThat(guest.queueLong(QueueState.FENCE)).isEqualTo(3);
    }

    /// The guest restarts the queue while earlier DMA is in progress.
    @Test
    void whatWasBegunBeforeAStartIsNotFinishedAfterIt() {
        for (Command command :
                List.of(
                        GpuGuest.fence(5),
                        GpuGuest.copy(Command.COPY_IN, Rows.of(0, 4096), DATA, 0),
                        GpuGuest.copy(Command.COPY_IN, Rows.of(0, 4096), -1, 0))) {
            guest.start();
            guest.put(command);
            guest.ring();
            AtomicInteger accesses = new AtomicInteger();
            boolean moves = command.totalBytes() > 0;
            mdev.guestMemory()
                    .setBeforeAccess(() -> {
                        if (accesses.incrementAndGet() == (moves ? 2 : 1)) {
                            guest.start();
                        }
                    });
            drain();
            assertThat(guest.queue(QueueState.STATUS)).as("%s", command).isEqualTo(1);
            assertThat(guest.queue(QueueState.HEAD)).as("%s", command).isZero();
            assertThat(guest.queueLong(QueueState.FENCE)).isZero();
            assertThat(mdev.interrupts().count(0)).isZero();
        }
    }

    @Test
    void aBugStopsOneDeviceAndNotTheEngine() {
        GpuGuest other = new GpuGuest(host.parent().create("gpu-sample-1m"));
        other.start();
        mdev.guestMemory()
                .setBeforeAccess(() -> {
                    throw new IllegalStateException("a bug, for a test");
                });
        other.put(GpuGuest.fence(6));
        other.ring();
        run(GpuGuest.fence(5));
        assertThat(guest.error()).isEqualTo(QueueError.INTERNAL);
        assertThat(mdev.lastReport().orElseThrow()).contains("a bug, for a test");
        assertThat(other.queueLong(QueueState.FENCE)).isEqualTo(6);
    }

    @Test
    void aFailureOfTheHostStopsTheQueue() {
        guest.put(GpuGuest.fill(1, Rows.of(0, 4096)));
        guest.ring();
        host.faults().arm(FaultInjector.Site.APERTURE_WRITE, 1000);
        drain();
        host.faults().disarm();
        assertThat(guest.error()).isEqualTo(QueueError.INTERNAL);
        assertThat(mdev.lastReport().orElseThrow()).contains("EIO");
    }

    @Test
    void aDoorbellIsNotMappedAhead() {
        assertThat(mdev.guest().prefetch(GpuGuest.QUEUE, 0)).isInstanceOf(MapDecision.Deny.class);
    }

    /// Machine monitors without mapping let every access trap.
    @Test
    void everythingWorksTrappedToo() {
        MdevDevice device = mdev.device();
        device.write(GpuGuest.VRAM, 4093, 4, 0x0403_0201);
        assertThat(device.read(GpuGuest.VRAM, 4093, 8)).isEqualTo(0x0403_0201);
        assertThat(mdev.guest().load(GpuGuest.VRAM, 4095, 1)).isEqualTo(3);
        guest.put(GpuGuest.fence(9));
        device.write(GpuGuest.QUEUE, 0, 4, guest.tail());
        assertThat(device.read(GpuGuest.QUEUE, 0, 4)).isEqualTo(1);
        drain();
        assertThat(guest.queueLong(QueueState.FENCE)).isEqualTo(9);
        assertThatThrownBy(() -> device.read(GpuGuest.VRAM, MIB - 4, 8))
                .isInstanceOf(MdevException.class);
    }

    /// Whatever the ring contains, only this device's VRAM changes, and after a restart the queue
    /// works.
    @Test
    void randomBytesAreBorne() {
        SplittableRandom random = new SplittableRandom(host.seed());
        InMemoryMdev victim = host.parent().create("gpu-sample-1m");
        victim.guest().store(GpuGuest.VRAM, 0, 8, 0x1122_3344_5566_7788L);
        for (int i = 0; i < 3000; i++) {
            guest.start();
            byte[] bytes = new byte[Command.SIZE];
            random.nextBytes(bytes);
            // Without these, hardly a command would pass the first checks.
            bytes[0] = (byte) random.nextInt(7);
            bytes[1] = 0;
            Arrays.fill(bytes, 2, 4, (byte) 0);
            Arrays.fill(bytes, 0x30, 0x40, (byte) 0);
            for (int at = 0x08; at < 0x28; at += 4) {
                if (random.nextInt(3) > 0) {
                    MemorySegment.ofArray(bytes).set(Layouts.INT, at, random.nextInt(4096));
                }
            }
            guest.putRaw(bytes);
            guest.ring();
            drain();
        }
        assertThat(victim.guest().load(GpuGuest.VRAM, 0, 8)).isEqualTo(0x1122_3344_5566_7788L);
        guest.start();
        run(GpuGuest.fence(4242));
        assertThat(guest.queueLong(QueueState.FENCE)).isEqualTo(4242);
    }

    @Test
    void theEngineWritesNothingAfterAReset() {
        guest.put(GpuGuest.fill(-1, Rows.of(0, MIB)));
        guest.ring();
        engine.runRound();
        assertThat(guest.queue(QueueState.STATUS)).isEqualTo(5);
        mdev.reset();
        drain();
        assertThat(guest.loadVram((int) MIB)).containsOnly(0);
        assertThat(guest.queue(QueueState.STATUS)).isZero();
        assertThat(guest.queueLong(QueueState.WORK_UNITS)).isZero();
        assertThat(mdev.counters().get("engine_work_units")).isPositive();
    }
}
