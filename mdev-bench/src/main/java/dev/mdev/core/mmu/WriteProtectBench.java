package dev.mdev.core.mmu;

import dev.mdev.core.addr.GfnRange;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

import java.util.concurrent.TimeUnit;

/// The cost of taking write permission again from pages whose marks were collected, for each word
/// of a dirty bitmap: 4 GiB, mapped by 4 KiB.
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 30)
@Measurement(iterations = 30)
@Fork(1)
@State(Scope.Benchmark)
public class WriteProtectBench {
    private static final int NPAGES = 1 << 20;
    private static final int WORDS = NPAGES / Long.SIZE;
    private static final Stage2Table.Change MAKE_WRITABLE =
            (entry, level) -> Stage2Entry.madeWritable(entry);

    private final Stage2Table table = new Stage2Table();

    @Setup
    public void map() {
        for (long gfn = 0; gfn < NPAGES; gfn++) {
            table.installLocked(
                    Stage2Table.LEVEL_4K, gfn, Stage2Entry.of(0x10_0000 + gfn, true, true));
        }
    }

    @Setup(Level.Invocation)
    public void makeWritable() {
        table.changeLocked(new GfnRange(0, NPAGES), MAKE_WRITABLE);
    }

    private int protect(long bits) {
        int changed = 0;
        for (long word = 0; word < WORDS; word++) {
            changed += table.writeProtectLocked(word * Long.SIZE, bits) ? 1 : 0;
        }
        return changed;
    }

    @Benchmark
    @OperationsPerInvocation(WORDS)
    public int onePageOfAWord() {
        return protect(1L << 17);
    }

    @Benchmark
    @OperationsPerInvocation(WORDS)
    public int everySecondPage() {
        return protect(0x5555_5555_5555_5555L);
    }

    /// Pages that are not mapped: the walk ends high up.
    @Benchmark
    @OperationsPerInvocation(WORDS)
    public int unmapped() {
        int changed = 0;
        for (long word = 0; word < WORDS; word++) {
            changed += table.writeProtectLocked((1L << 30) + word * Long.SIZE, -1L) ? 1 : 0;
        }
        return changed;
    }
}
