package dev.mdev.bench;

import dev.mdev.api.page.Page;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.UserMemoryRegion;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

import java.util.concurrent.TimeUnit;

/// The cost of creating all the slots that an address space may have.
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 1)
@Measurement(iterations = 3)
@Fork(1)
@State(Scope.Benchmark)
public class SlotFillBench {
    private static final int SLOTS = 32764;

    @Benchmark
    public long createAll() {
        AddressSpaces spaces = new AddressSpaces(SlotConfig.withoutSmm());
        for (int id = 0; id < SLOTS; id++) {
            spaces.setUserMemoryRegion(
                    new UserMemoryRegion(
                            id,
                            0,
                            Page.addressOf(id * 2L),
                            Page.SIZE,
                            0x10_0000_0000L + Page.addressOf(id)));
        }
        return spaces.totalPages();
    }
}
