package dev.mdev.core.bench;

import dev.mdev.api.page.Page;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.DirtyHardware;
import dev.mdev.core.memslot.DirtyLog;
import dev.mdev.core.memslot.DirtyModes;
import dev.mdev.core.memslot.DirtyProtector;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.UserMemoryRegion;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import java.util.concurrent.TimeUnit;

/// What reading the log of a slot of 1 TiB costs: 32 MiB of bitmap. Write-protecting the pages
/// again is the MMU's work and not part of it.
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 5)
@Measurement(iterations = 10)
@Fork(1)
@State(Scope.Benchmark)
public class DirtyLogBench {
    private static final long NPAGES = 1L << 28;

    /// Of every 100 pages.
    @Param({"0", "1", "50"})
    int dirtyPercent;

    private final AddressSpaces slots = new AddressSpaces(SlotConfig.withoutSmm());
    private final DirtyModes modes =
            new DirtyModes(slots, DirtyHardware.x86(), DirtyModes.RingDefect.AVOIDED);
    private final DirtyLog log = new DirtyLog(slots, modes, new NoProtector());
    private final MemorySegment target = Arena.ofAuto().allocate(NPAGES / Byte.SIZE);
    private final MemorySegment other = Arena.ofAuto().allocate(NPAGES / Byte.SIZE);

    private static final class NoProtector implements DirtyProtector {
        @Override
        public void protect(Memslot slot, long baseIndex, long bits) {}

        @Override
        public void protectWords(Memslot slot, long baseIndex, long[] words, int count) {}

        @Override
        public void flush() {}
    }

    @Setup
    public void create() {
        slots.setBitmapPolicy(modes);
        slots.setUserMemoryRegion(
                new UserMemoryRegion(
                        0, SlotFlags.LOG_DIRTY_PAGES, 0, Page.bytesOf(NPAGES), 0x10_0000_0000L));
        target.fill((byte) 1);
        other.fill((byte) 2);
    }

    /// At 1 % one page in each 100, at 50 % every second one.
    @Setup(Level.Invocation)
    public void dirty() {
        DirtyBitmap bitmap =
                Objects.requireNonNull(Objects.requireNonNull(slots.slotOf(0)).bitmap());
        if (dirtyPercent == 50) {
            for (int word = 0; word < bitmap.words(); word++) {
                bitmap.setAll(word, 0x5555_5555_5555_5555L);
            }
        } else if (dirtyPercent == 1) {
            for (long page = 0; page < NPAGES; page += 100) {
                bitmap.set(page);
            }
        }
    }

    /// The yardstick: as many bytes, copied.
    @Benchmark
    public MemorySegment copyOfAsManyBytes() {
        return target.copyFrom(other);
    }

    @Benchmark
    public MemorySegment getDirtyLog() {
        log.get(0, target);
        return target;
    }

    /// Without a copy of the whole.
    @Benchmark
    public long collect() {
        long[] pages = new long[1];
        log.collect(0, (word, bits) -> pages[0] += Long.bitCount(bits));
        return pages[0];
    }
}
