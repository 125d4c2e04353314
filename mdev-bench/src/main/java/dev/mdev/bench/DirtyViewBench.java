package dev.mdev.bench;

import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.dirty.DirtyBackingBlock;
import dev.mdev.core.dirty.DirtyBackingView;

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

import java.util.concurrent.TimeUnit;

/// The cost of collecting the view by backing memory, compared with collecting slot by slot: 64 GiB
/// that two slots show, each with its own log. This excludes write-protecting the pages again.
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 20)
@Measurement(iterations = 20)
@Fork(1)
@State(Scope.Benchmark)
public class DirtyViewBench {
    private static final long NPAGES = 1L << 24;

    /// Of every 100 pages, in each of the two slots, in different places.
    @Param({"0", "1", "50"})
    int dirtyPercent;

    private final BenchLog machine = new BenchLog();
    private final DirtyBackingView view = DirtyBackingView.attach(machine.slots, machine.log);
    private final DirtyBackingBlock block = view.addBlock(HvaRange.ofPages(BenchLog.HVA, NPAGES));

    @Setup
    public void create() {
        machine.addSlot(0, NPAGES);
        machine.addSlot(1, NPAGES);
    }

    @Setup(Level.Invocation)
    public void dirty() {
        machine.dirty(0, dirtyPercent);
        machine.dirty(1, dirtyPercent);
    }

    /// Each slot by itself: a page that both show may come twice.
    @Benchmark
    public long slotBySlot() {
        long[] pages = new long[1];
        machine.log.collect(0, (word, bits) -> pages[0] += Long.bitCount(bits));
        machine.log.collect(1, (word, bits) -> pages[0] += Long.bitCount(bits));
        return pages[0];
    }

    /// Each page once.
    @Benchmark
    public long byBackingMemory() {
        long[] pages = new long[1];
        view.collectBitmaps();
        block.dirty().harvest((word, bits) -> pages[0] += Long.bitCount(bits));
        return pages[0];
    }
}
