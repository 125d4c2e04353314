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
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

import java.util.concurrent.TimeUnit;

/// The cost of creating and deleting a slot, in an address space with many slots.
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
@State(Scope.Benchmark)
public class SlotChangeBench {
    @Param({"1", "512", "32763"})
    int others;

    private final AddressSpaces spaces = new AddressSpaces(SlotConfig.withoutSmm());
    private UserMemoryRegion created = new UserMemoryRegion(0, 0, 0, 0, 0);

    @Setup
    public void fill() {
        for (int i = 0; i < others; i++) {
            spaces.setUserMemoryRegion(slot(i));
        }
        created = slot(others);
    }

    private static UserMemoryRegion slot(int id) {
        return new UserMemoryRegion(
                id, 0, Page.addressOf(id * 2L), Page.SIZE, 0x10_0000_0000L + Page.addressOf(id));
    }

    @Benchmark
    public void createAndDelete() {
        spaces.setUserMemoryRegion(created);
        spaces.setUserMemoryRegion(UserMemoryRegion.deletionOf(created.slot()));
    }
}
