package dev.mdev.bench;

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
import java.util.concurrent.TimeUnit;

/// The cost of reading the log of a slot of 1 TiB: 32 MiB of bitmap. This excludes write-protecting
/// the pages again, which is the MMU's work.
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

    private final BenchLog machine = new BenchLog();
    private final MemorySegment target = Arena.ofAuto().allocate(NPAGES / Byte.SIZE);
    private final MemorySegment other = Arena.ofAuto().allocate(NPAGES / Byte.SIZE);

    @Setup
    public void create() {
        machine.addSlot(0, NPAGES);
        target.fill((byte) 1);
        other.fill((byte) 2);
    }

    @Setup(Level.Invocation)
    public void dirty() {
        machine.dirty(0, dirtyPercent);
    }

    /// The yardstick: a copy of as many bytes.
    @Benchmark
    public MemorySegment copyOfAsManyBytes() {
        return target.copyFrom(other);
    }

    @Benchmark
    public MemorySegment getDirtyLog() {
        machine.log.get(0, target);
        return target;
    }

    /// Without a copy of the whole.
    @Benchmark
    public long collect() {
        long[] pages = new long[1];
        machine.log.collect(0, (word, bits) -> pages[0] += Long.bitCount(bits));
        return pages[0];
    }
}
