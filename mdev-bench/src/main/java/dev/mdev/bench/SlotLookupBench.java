package dev.mdev.bench;

import dev.mdev.api.page.Page;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.memslot.VcpuMemslots;

import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;

/// The cost of finding the slot of a guest frame. Slots are of 4 pages with holes of 4 between
/// them, as in the table of `slot_lookup.c`.
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
@State(Scope.Benchmark)
public class SlotLookupBench {
    static final int STRIDE_PAGES = 8;
    static final int SLOT_PAGES = 4;
    private static final int GFNS = 1 << 16;

    @Param({"1", "512", "32764"})
    int slots;

    private AddressSpaces spaces = new AddressSpaces(SlotConfig.withoutSmm());
    private VcpuMemslots vcpu = new VcpuMemslots(spaces, 0);
    private final long[] gfns = new long[GFNS];
    private int next;

    @Setup
    public void fill() {
        spaces = new AddressSpaces(SlotConfig.withoutSmm());
        for (int i = 0; i < slots; i++) {
            spaces.setUserMemoryRegion(
                    new UserMemoryRegion(
                            i,
                            0,
                            Page.addressOf((long) i * STRIDE_PAGES),
                            SLOT_PAGES * (long) Page.SIZE,
                            0x10_0000_0000L));
        }
        vcpu = new VcpuMemslots(spaces, 0);
        SplittableRandom random = new SplittableRandom(42);
        for (int i = 0; i < GFNS; i++) {
            gfns[i] = random.nextLong((long) slots * STRIDE_PAGES);
        }
    }

    /// The same slot again and again: the vCPU's cache answers.
    @Benchmark
    public @Nullable Memslot cached() {
        next = (next + 1) & (SLOT_PAGES - 1);
        return vcpu.find((slots / 2) * (long) STRIDE_PAGES + next);
    }

    /// Frames at random, half of them in holes: a search each time.
    @Benchmark
    public @Nullable Memslot random() {
        next = (next + 1) & (GFNS - 1);
        return vcpu.find(gfns[next]);
    }
}
