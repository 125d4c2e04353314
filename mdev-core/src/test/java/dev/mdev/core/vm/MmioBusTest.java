package dev.mdev.core.vm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.Refusal;
import dev.mdev.core.pci.RegionAccess;
import dev.mdev.core.support.Seeded;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/// [MmioBus] against one byte at a time.
@Timeout(value = 180, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class MmioBusTest {
    private static final int UNIVERSE = 48;
    private static final long BASE = 0x8000_0000L;

    private final MmioBus bus = new MmioBus();

    /// Bytes that remember how they were accessed.
    private static final class Bytes implements MmioBus.Target {
        final byte[] content = new byte[2 * UNIVERSE];
        final List<Long> offsets = new ArrayList<>();
        final List<Integer> widths = new ArrayList<>();

        /// An access to this byte fails.
        int failsAt = -1;

        private boolean fails(long offsetBytes, int widthBytes) {
            offsets.add(offsetBytes);
            widths.add(widthBytes);
            return failsAt >= offsetBytes && failsAt < offsetBytes + widthBytes;
        }

        @Override
        public RegionAccess read(long offsetBytes, int widthBytes) {
            if (fails(offsetBytes, widthBytes)) {
                return new RegionAccess.Failed(new Refusal(Errno.EIO, "byte " + failsAt));
            }
            // A device may leave anything in the bits that it was not asked for.
            long value = widthBytes == Long.BYTES ? 0 : -1L << (widthBytes * Byte.SIZE);
            for (int i = 0; i < widthBytes; i++) {
                value |= (content[(int) offsetBytes + i] & 0xffL) << (i * Byte.SIZE);
            }
            return new RegionAccess.Done(value);
        }

        @Override
        public RegionAccess write(long offsetBytes, int widthBytes, long value) {
            if (fails(offsetBytes, widthBytes)) {
                return new RegionAccess.Failed(new Refusal(Errno.EIO, "byte " + failsAt));
            }
            assertThat(widthBytes == Long.BYTES ? 0 : value >>> (widthBytes * Byte.SIZE))
                    .as("bits beyond the width")
                    .isZero();
            for (int i = 0; i < widthBytes; i++) {
                content[(int) offsetBytes + i] = (byte) (value >>> (i * Byte.SIZE));
            }
            return new RegionAccess.Done(0);
        }
    }

    @Test
    void everyByteIsAccessedOnceInPiecesThatRegistersServe() {
        Seeded.run(500, MmioBusTest::compareWithOneByteAtATime);
    }

    private static void compareWithOneByteAtATime(SplittableRandom random) {
        MmioBus bus = new MmioBus();
        MmioBus.@Nullable Window[] owner = new MmioBus.@Nullable Window[UNIVERSE];
        List<MmioBus.Window> windows = new ArrayList<>();
        for (int at = random.nextInt(6); at < UNIVERSE; ) {
            int size = random.nextInt(1, 12);
            size = Math.min(size, UNIVERSE - at);
            MmioBus.Window window =
                    new MmioBus.Window(BASE + at, size, new Bytes(), random.nextInt(UNIVERSE));
            windows.add(random.nextInt(windows.size() + 1), window);
            for (int i = 0; i < size; i++) {
                owner[at + i] = window;
            }
            at += size + (random.nextBoolean() ? 0 : random.nextInt(6));
        }
        bus.setWindows(windows);
        for (int step = 0; step < 40; step++) {
            int width = random.nextInt(1, 9);
            int at = random.nextInt(UNIVERSE - width + 1);
            if (random.nextBoolean()) {
                compareRead(bus, owner, at, width, random);
            } else {
                compareWrite(bus, owner, at, width, random.nextLong());
            }
        }
    }

    private static void compareRead(
            MmioBus bus,
            MmioBus.@Nullable Window[] owner,
            int at,
            int width,
            SplittableRandom random) {
        forget(owner);
        long expected = 0;
        boolean any = false;
        for (int i = 0; i < width; i++) {
            MmioBus.Window window = owner[at + i];
            int value = 0xff;
            if (window != null) {
                any = true;
                value = random.nextInt(0x100);
                bytesOf(window).content[(int) window.offsetOf(BASE + at + i)] = (byte) value;
            }
            expected |= (long) value << (i * Byte.SIZE);
        }

        RegionAccess result = bus.read(BASE + at, width);

        assertThat(result).isEqualTo(any ? new RegionAccess.Done(expected) : null);
        requirePieces(owner, at, width);
    }

    private static void compareWrite(
            MmioBus bus, MmioBus.@Nullable Window[] owner, int at, int width, long value) {
        forget(owner);

        RegionAccess result = bus.write(BASE + at, width, value);

        boolean any = false;
        for (int i = 0; i < width; i++) {
            MmioBus.Window window = owner[at + i];
            if (window != null) {
                any = true;
                assertThat(bytesOf(window).content[(int) window.offsetOf(BASE + at + i)])
                        .isEqualTo((byte) (value >>> (i * Byte.SIZE)));
            }
        }
        assertThat(result).isEqualTo(any ? new RegionAccess.Done(0) : null);
        requirePieces(owner, at, width);
    }

    /// Each byte in one piece, each piece of a width that a register has and naturally aligned,
    /// unless it is all of an access that the guest did not align.
    private static void requirePieces(MmioBus.@Nullable Window[] owner, int at, int width) {
        int[] times = new int[UNIVERSE];
        for (MmioBus.Window window : owner) {
            if (window == null) {
                continue;
            }
            Bytes bytes = bytesOf(window);
            for (int i = 0; i < bytes.offsets.size(); i++) {
                long offset = bytes.offsets.get(i);
                int piece = bytes.widths.get(i);
                boolean whole = piece == width && offset == window.offsetOf(BASE + at);
                assertThat(Integer.bitCount(piece)).as("piece of %d bytes", piece).isOne();
                assertThat(whole || offset % piece == 0).as("aligned: %d", offset).isTrue();
                long gpa = offset - window.offsetBytes() + window.gpa();
                for (long byteAt = gpa; byteAt < gpa + piece; byteAt++) {
                    assertThat(owner[(int) (byteAt - BASE)]).isSameAs(window);
                    times[(int) (byteAt - BASE)]++;
                }
            }
            bytes.offsets.clear();
            bytes.widths.clear();
        }
        for (int i = 0; i < UNIVERSE; i++) {
            boolean meant = i >= at && i < at + width && owner[i] != null;
            assertThat(times[i]).as("byte %d", i).isEqualTo(meant ? 1 : 0);
        }
    }

    private static void forget(MmioBus.@Nullable Window[] owner) {
        for (MmioBus.Window window : owner) {
            if (window != null) {
                bytesOf(window).offsets.clear();
                bytesOf(window).widths.clear();
            }
        }
    }

    private static Bytes bytesOf(MmioBus.Window window) {
        return (Bytes) window.target();
    }

    @Test
    void anAccessThatARegisterServesWholeIsNotCutAlsoIfItIsNotAligned() {
        Bytes device = new Bytes();
        bus.setWindows(List.of(new MmioBus.Window(BASE, 32, device, 0)));

        bus.read(BASE + 2, 4);
        bus.read(BASE + 3, 8);

        assertThat(device.widths).containsExactly(4, 8);
        assertThat(device.offsets).containsExactly(2L, 3L);
    }

    @Test
    void anAccessOfThreeBytesIsCutAtItsAlignment() {
        Bytes device = new Bytes();
        bus.setWindows(List.of(new MmioBus.Window(BASE, 32, device, 0)));

        bus.write(BASE + 1, 3, 0x030201);
        bus.write(BASE + 4, 3, 0x060504);

        assertThat(device.offsets).containsExactly(1L, 2L, 4L, 6L);
        assertThat(device.widths).containsExactly(1, 2, 2, 1);
        assertThat(device.content).startsWith(0, 1, 2, 3, 4, 5, 6);
    }

    @Test
    void aFailureEndsTheAccessAndWhatCameBeforeItIsDone() {
        Bytes low = new Bytes();
        Bytes high = new Bytes();
        high.failsAt = 0;
        bus.setWindows(
                List.of(
                        new MmioBus.Window(BASE, 4, low, 0),
                        new MmioBus.Window(BASE + 4, 4, high, 0)));

        RegionAccess written = bus.write(BASE, 8, 0x0807_0605_0403_0201L);
        RegionAccess read = bus.read(BASE, 8);

        assertThat(written).isEqualTo(new RegionAccess.Failed(new Refusal(Errno.EIO, "byte 0")));
        assertThat(read).isEqualTo(new RegionAccess.Failed(new Refusal(Errno.EIO, "byte 0")));
        assertThat(low.content).startsWith(1, 2, 3, 4);
    }

    @Test
    void aBusWithoutWindowsAnswersNothing() {
        assertThat(bus.read(0, 8)).isNull();
        assertThat(bus.write(BASE, 8, 1)).isNull();
    }

    /// No guest has such an address today, and a bus that looks for one for ever helps nobody.
    @Test
    void anAddressOfAny64BitsIsAnswered() {
        bus.setWindows(List.of(new MmioBus.Window(BASE, 8, new Bytes(), 0)));

        for (long gpa : new long[] {Long.MAX_VALUE, Long.MAX_VALUE - 3, Long.MIN_VALUE, -8, -1}) {
            assertThat(bus.read(gpa, 8)).as("gpa=0x%x", gpa).isNull();
            assertThat(bus.write(gpa, 8, 1)).as("gpa=0x%x", gpa).isNull();
        }
    }

    @Test
    void windowsAreReplacedAsAWhole() {
        Bytes before = new Bytes();
        Bytes after = new Bytes();
        bus.setWindows(List.of(new MmioBus.Window(BASE, 8, before, 0)));
        bus.setWindows(List.of(new MmioBus.Window(BASE + 16, 8, after, 4)));

        assertThat(bus.read(BASE, 4)).isNull();
        assertThat(bus.read(BASE + 16, 4)).isEqualTo(new RegionAccess.Done(0));
        assertThat(after.offsets).containsExactly(4L);
    }
}
