package dev.mdev.bench;

import dev.mdev.api.page.Page;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.dirty.DirtyBackingView;
import dev.mdev.core.dirty.DirtyHardware;
import dev.mdev.core.dirty.DirtyLog;
import dev.mdev.core.dirty.DirtyModes;
import dev.mdev.core.dirty.DirtyProtector;
import dev.mdev.core.dirty.DirtyRingHarvester;
import dev.mdev.core.dirty.DirtyRings;
import dev.mdev.core.memslot.AddressSpaces;
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
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

import java.lang.foreign.Arena;
import java.util.Objects;
import java.util.concurrent.TimeUnit;

/// The cost of a dirty ring's entry in each part of its life. Pages are in order, so that a reset
/// gathers 64 of them; this excludes write-protecting them again.
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 300)
@Measurement(iterations = 200)
@Fork(1)
public class DirtyRingBench {
    private static final int ENTRIES = 32768;
    private static final int BATCH = 16384;
    private static final long HVA = 0x10_0000_0000L;

    /// A machine with one vCPU and its ring, empty before and after each measurement.
    @State(Scope.Benchmark)
    public static class Machine {
        private final AddressSpaces slots = new AddressSpaces(SlotConfig.withoutSmm());
        private final DirtyModes modes = new DirtyModes(slots, DirtyHardware.x86());
        private final DirtyRings rings =
                new DirtyRings(slots, modes, size -> Arena.ofAuto().allocate(size, Page.SIZE));
        private final DirtyBackingView view =
                DirtyBackingView.attach(slots, new DirtyLog(slots, modes, new NoProtector()));
        private final DirtyProtector protector = new NoProtector();
        private final Memslot slot;
        private final DirtyRingHarvester harvester;

        public Machine() {
            modes.enable(DirtyModes.RING, 0, ENTRIES * 16L);
            slots.setUserMemoryRegion(
                    new UserMemoryRegion(
                            0, SlotFlags.LOG_DIRTY_PAGES, 0, Page.bytesOf(ENTRIES), HVA));
            view.addBlock(HvaRange.ofPages(HVA, ENTRIES));
            slot = Objects.requireNonNull(slots.slotOf(0));
            harvester =
                    new DirtyRingHarvester(Objects.requireNonNull(rings.vcpuCreated(0)).memory());
        }

        final void push() {
            for (int page = 0; page < BATCH; page++) {
                rings.mark(slot, page, 0);
            }
        }

        final int harvest() {
            return harvester.harvest((number, page) -> {}, Integer.MAX_VALUE);
        }

        final int harvestIntoView() {
            return view.collectRing(harvester, Integer.MAX_VALUE);
        }

        final int reset() {
            return rings.reset(protector);
        }

        @TearDown(Level.Invocation)
        public void empty() {
            harvest();
            reset();
        }
    }

    /// One whose entries are pushed.
    public static class Pushed extends Machine {
        @Setup(Level.Invocation)
        public void fill() {
            push();
        }
    }

    /// One whose entries are pushed and harvested.
    public static class Harvested extends Machine {
        @Setup(Level.Invocation)
        public void fill() {
            push();
            harvest();
        }
    }

    private static final class NoProtector implements DirtyProtector {
        @Override
        public void protect(Memslot slot, long baseIndex, long bits) {}

        @Override
        public void flush() {}
    }

    @Benchmark
    @OperationsPerInvocation(BATCH)
    public void push(Machine machine) {
        machine.push();
    }

    @Benchmark
    @OperationsPerInvocation(BATCH)
    public int harvest(Pushed machine) {
        return machine.harvest();
    }

    /// As [#harvest], each entry merged into the view by backing memory.
    @Benchmark
    @OperationsPerInvocation(BATCH)
    public int harvestIntoView(Pushed machine) {
        return machine.harvestIntoView();
    }

    @Benchmark
    @OperationsPerInvocation(BATCH)
    public int reset(Harvested machine) {
        return machine.reset();
    }
}
