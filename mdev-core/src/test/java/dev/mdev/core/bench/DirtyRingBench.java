package dev.mdev.core.bench;

import dev.mdev.api.page.Page;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtyHardware;
import dev.mdev.core.memslot.DirtyModes;
import dev.mdev.core.memslot.DirtyProtector;
import dev.mdev.core.memslot.DirtyRingHarvester;
import dev.mdev.core.memslot.DirtyRings;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.UserMemoryRegion;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

import java.lang.foreign.Arena;
import java.util.Objects;
import java.util.concurrent.TimeUnit;

/// What an entry of a dirty ring costs over its life: pushed, harvested and reset. Pages are in
/// order, so that a reset gathers 64 of them; write-protecting them again is not part of it.
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
@State(Scope.Benchmark)
public class DirtyRingBench {
    private static final int ENTRIES = 32768;
    private static final int BATCH = 16384;

    private final AddressSpaces slots = new AddressSpaces(SlotConfig.withoutSmm());
    private final DirtyModes modes =
            new DirtyModes(slots, DirtyHardware.x86(), DirtyModes.RingDefect.AVOIDED);
    private final DirtyRings rings =
            new DirtyRings(slots, modes, size -> Arena.ofAuto().allocate(size, Page.SIZE));
    private final DirtyProtector protector =
            new DirtyProtector() {
                @Override
                public void protect(Memslot slot, long baseIndex, long bits) {}

                @Override
                public void flush() {}
            };
    private Memslot slot = placeholder();
    private DirtyRingHarvester harvester =
            new DirtyRingHarvester(Arena.ofAuto().allocate(ENTRIES * 16L, Page.SIZE));

    private Memslot placeholder() {
        slots.setUserMemoryRegion(
                new UserMemoryRegion(
                        0, SlotFlags.LOG_DIRTY_PAGES, 0, Page.bytesOf(ENTRIES), 0x10_0000_0000L));
        return Objects.requireNonNull(slots.slotOf(0));
    }

    @Setup
    public void enable() {
        modes.enable(DirtyModes.RING, 0, ENTRIES * 16L);
        rings.vcpuCreated(0);
        slot = Objects.requireNonNull(slots.slotOf(0));
        harvester = new DirtyRingHarvester(Objects.requireNonNull(rings.ringOf(0)).memory());
    }

    @Benchmark
    @OperationsPerInvocation(BATCH)
    public int pushHarvestReset() {
        for (int page = 0; page < BATCH; page++) {
            rings.mark(slot, page, 0);
        }
        harvester.harvest((number, page) -> {}, Integer.MAX_VALUE);
        return rings.reset(protector);
    }
}
