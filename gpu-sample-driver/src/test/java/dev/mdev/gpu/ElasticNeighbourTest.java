package dev.mdev.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.LinearMemory.Layouts;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.elastic.ElasticUsage;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.vm.AttachedDevice;
import dev.mdev.core.vm.GuestProgram;
import dev.mdev.core.vm.GuestProgram.Step;
import dev.mdev.core.vm.MachineSpec;
import dev.mdev.core.vm.ProgramResult;
import dev.mdev.core.vm.VirtualMachine;
import dev.mdev.gate.Deadlines;
import dev.mdev.gpu.GpuGuest.Rows;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/// The engine's work for a guest within its minimum, beside a hog whose commands fill all its VRAM.
///
/// `-Dmdev.hog.turns=31 -Dmdev.hog.units=10000000` measures, and prints, how much that work is
/// compared with beside a hog that fills its minimum only.
@Timeout(value = 600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class ElasticNeighbourTest {
    private static final int TURNS = Integer.getInteger("mdev.hog.turns", 2);
    private static final long UNITS = Long.getLong("mdev.hog.units", 100_000);
    private static final long LOOK_NANOS = TimeUnit.MILLISECONDS.toNanos(1);
    private static final int MAX_MIB = 64;
    private static final int MIN_MIB = 16;
    private static final int RING_ENTRIES = 65_536;
    private static final long RING_GPA = 0;

    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final MdevBus bus = new MdevBus(memory, Deadlines.HANG, MdevObserver.NONE);
    private final List<VirtualMachine> machines = new ArrayList<>();

    @AfterEach
    void stop() {
        machines.forEach(VirtualMachine::close);
        bus.close();
        memory.close();
    }

    /// A guest whose ring is full of the same command.
    private final class Guest {
        private final VirtualMachine vm;
        private final AttachedDevice device;

        Guest() {
            vm =
                    new VirtualMachine(
                            new MachineSpec("vm" + machines.size(), 8L << 20, 1),
                            new SoftwareEngine(Deadlines.HANG),
                            memory);
            machines.add(vm);
            device = vm.attach(bus.create(UUID.randomUUID(), "gpu0", "gpu-sample-elastic-64m"));
        }

        private void run(List<Step> steps) {
            ProgramResult result =
                    vm.vcpu(0).execute(new GuestProgram(steps, false), Deadlines.HANG).join();
            assertThat(result.end()).as("%s", result).isEqualTo(ProgramResult.End.COMPLETED);
        }

        /// Fills so much VRAM again and again, from the start.
        void fill(int mib) {
            MemorySegment bytes =
                    MemorySegment.ofArray(GpuGuest.fill(mib, Rows.of(0, (long) mib << 20)).bytes());
            List<Step> steps = new ArrayList<>();
            for (int offset = 0; offset < Command.SIZE; offset += 8) {
                Span column = new Span(RING_GPA + offset, 8, RING_ENTRIES, Command.SIZE);
                steps.add(new Step.Write(column, bytes.get(Layouts.LONG, offset), 0));
            }
            long queueBar = device.barGpa(GpuDevice.QUEUE_BAR).orElseThrow();
            long queue = queueBar + GpuGuest.REGISTERS;
            steps.add(store(queue + QueueState.CONTROL, 4, 0));
            steps.add(store(queue + QueueState.RING_BASE, 8, RING_GPA));
            steps.add(store(queue + QueueState.RING_ENTRIES, 4, RING_ENTRIES));
            steps.add(store(queue + QueueState.CONTROL, 4, 1));
            steps.add(store(queueBar, 4, RING_ENTRIES));
            run(steps);
        }

        private static Step store(long gpa, int width, long value) {
            return new Step.Write(new Span(gpa, width, 1, 0), value, 0);
        }

        long units() {
            return device.mdev().counters().getOrDefault("engine_work_units", 0L);
        }

        ElasticUsage usage() {
            return device.mdev().elastic().getFirst().usage();
        }
    }

    @Test
    void aGuestWithinItsMinimumKeepsItsPagesAndItsWork() {
        bus.addDriver(
                new GpuParentDriver(),
                Map.of("vram-mib", "48", "types-mib", "1", "elastic-mib", "" + MAX_MIB));
        Guest neighbour = new Guest();
        Guest hog = new Guest();
        neighbour.fill(MIN_MIB);
        double[] ratios = new double[TURNS];
        for (int turn = 0; turn < TURNS; turn++) {
            hog.fill(MIN_MIB);
            double beside = work(neighbour);
            hog.fill(MAX_MIB);
            ratios[turn] = work(neighbour) / beside;
        }
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        while (hog.usage().evictedPages() == 0) {
            assertThat(System.nanoTime()).as("the hog's time").isLessThan(end);
            LockSupport.parkNanos(LOOK_NANOS);
        }
        assertThat(neighbour.usage().evictedPages()).isZero();
        assertThat(neighbour.usage().heldPages()).isEqualTo(neighbour.usage().minPages());
        Arrays.sort(ratios);
        System.out.printf(
                Locale.ROOT,
                "the neighbour's work, against a hog within its minimum: %.3f (quartiles %.3f,"
                        + " %.3f)%n",
                ratios[TURNS / 2],
                ratios[TURNS / 4],
                ratios[TURNS * 3 / 4]);
    }

    /// Units per second, after the hog has come into its stride.
    private static double work(Guest neighbour) {
        await(neighbour, UNITS / 5);
        long start = System.nanoTime();
        long units = await(neighbour, UNITS);
        return units * 1e9 / (System.nanoTime() - start);
    }

    /// Waits until so much more is done.
    private static long await(Guest neighbour, long units) {
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        long before = neighbour.units();
        long done = 0;
        while (done < units) {
            assertThat(System.nanoTime())
                    .as("time, with %d of %d units", done, units)
                    .isLessThan(end);
            LockSupport.parkNanos(LOOK_NANOS);
            done = neighbour.units() - before;
        }
        return done;
    }
}
