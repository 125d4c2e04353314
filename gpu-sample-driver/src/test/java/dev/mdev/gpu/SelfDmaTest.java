package dev.mdev.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.LinearMemory.Layouts;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevEvent;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.bus.Removal;
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

import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadInfo;
import java.lang.management.ThreadMXBean;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;

/// A guest has its device copy out of the device's own BAR, so that the engine's DMA needs the
/// device's turn, and has it reset, saved and removed under that. The other tenant of the GPU
/// notices nothing.
///
/// Nothing here asserts how long something took. `-Dmdev.self-dma.rounds=1000` and
/// `-Dmdev.self-dma.pieces=100` make the numbers that are printed mean something.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class SelfDmaTest {
    private static final int ROUNDS = Integer.getInteger("mdev.self-dma.rounds", 40);

    /// Pieces of the attacker's work in a round: the more, the less its queue is idle, and what the
    /// neighbour gets then is its share.
    private static final int PIECES = Integer.getInteger("mdev.self-dma.pieces", 1);

    private static final Duration PATIENCE = Deadlines.HANG;
    private static final long RAM_BYTES = 1L << 20;
    private static final long RING = 0x1_0000;
    private static final int ENTRIES = 1024;
    private static final long HALF = 1L << 19;
    private static final int SPINS = 100_000;
    private static final System.Logger LOGGER = System.getLogger(SelfDmaTest.class.getName());

    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final List<MdevEvent.Fact> overdue = new CopyOnWriteArrayList<>();
    private final MdevBus bus =
            new MdevBus(
                    memory,
                    PATIENCE,
                    new MdevObserver() {
                        @Override
                        public void event(MdevEvent event) {
                            // A driver that looks for its devices under load may take long.
                            if (event.fact() instanceof MdevEvent.CallbackOverdue late
                                    && late.call().owner().startsWith("mdev=")) {
                                overdue.add(event.fact());
                            }
                        }
                    });
    private final VirtualMachine attackers = machine("attacker");
    private final VirtualMachine neighbours = machine("neighbour");
    private AttachedDevice neighbour;

    private VirtualMachine machine(String name) {
        return new VirtualMachine(
                new MachineSpec(name, RAM_BYTES, 1), new SoftwareEngine(PATIENCE), memory);
    }

    SelfDmaTest() {
        bus.addDriver(new GpuParentDriver(), Map.of("types-mib", "1"));
        neighbour = neighbours.attach(create());
        prepare(neighbours, neighbour, GpuGuest.fill(7, Rows.of(0, 2 * HALF)));
    }

    @AfterEach
    void close() {
        attackers.close();
        neighbours.close();
        bus.close();
        memory.close();
    }

    private dev.mdev.core.device.Mdev create() {
        return bus.create(UUID.randomUUID(), "gpu0", "gpu-sample-1m");
    }

    private static void run(VirtualMachine vm, List<Step> steps) {
        ProgramResult result = vm.vcpu(0).execute(new GuestProgram(steps, false), PATIENCE).join();
        assertThat(result.end()).as("%s", result).isEqualTo(ProgramResult.End.COMPLETED);
    }

    private static long load(VirtualMachine vm, long gpa, int width) {
        ProgramResult result =
                vm.vcpu(0)
                        .execute(
                                new GuestProgram(
                                        List.of(new Step.Read(new Span(gpa, width, 1, 0))), false),
                                PATIENCE)
                        .join();
        assertThat(result.end()).as("%s", result).isEqualTo(ProgramResult.End.COMPLETED);
        return result.steps().getFirst().values().getFirst();
    }

    private static Step store(long gpa, int width, long value) {
        return new Step.Write(new Span(gpa, width, 1, 0), value, 0);
    }

    /// A ring that has the same command everywhere.
    private static void prepare(VirtualMachine vm, AttachedDevice device, Command command) {
        MemorySegment bytes = MemorySegment.ofArray(command.bytes());
        List<Step> steps = new ArrayList<>();
        for (int offset = 0; offset < Command.SIZE; offset += 8) {
            Span column = new Span(RING + offset, 8, ENTRIES, Command.SIZE);
            steps.add(new Step.Write(column, bytes.get(Layouts.LONG, offset), 0));
        }
        run(vm, steps);
        start(vm, device);
    }

    /// Starts the queue with all the work that the ring holds.
    private static void start(VirtualMachine vm, AttachedDevice device) {
        long bar = device.barGpa(GpuDevice.QUEUE_BAR).orElseThrow();
        long queue = bar + GpuGuest.REGISTERS;
        run(
                vm,
                List.of(
                        store(queue + QueueState.RING_BASE, 8, RING),
                        store(queue + QueueState.RING_ENTRIES, 4, ENTRIES),
                        store(queue + QueueState.CONTROL, 4, 1),
                        store(bar, 4, ENTRIES)));
    }

    private static long headOf(VirtualMachine vm, AttachedDevice device) {
        long bar = device.barGpa(GpuDevice.QUEUE_BAR).orElseThrow();
        return load(vm, bar + GpuGuest.REGISTERS + QueueState.HEAD, 4);
    }

    /// Keeps the neighbour's ring full.
    private void feed() {
        long bar = neighbour.barGpa(GpuDevice.QUEUE_BAR).orElseThrow();
        run(neighbours, List.of(store(bar, 4, headOf(neighbours, neighbour) + ENTRIES)));
    }

    private AttachedDevice attacker() {
        AttachedDevice device = attackers.attach(create());
        prepare(attackers, device, selfCopy(device));
        return device;
    }

    /// Copies the first half of VRAM, as guest memory, to the second.
    private static Command selfCopy(AttachedDevice device) {
        long bar = device.barGpa(GpuDevice.VRAM_BAR).orElseThrow();
        return GpuGuest.copy(Command.COPY_IN, Rows.of(HALF, HALF), bar, 0);
    }

    private static long units(AttachedDevice device) {
        return device.mdev().counters().getOrDefault("engine_work_units", 0L);
    }

    @Test
    void aNeighbourNoticesNothingOfResetsSavesAndRemovalsUnderSelfDma() throws IOException {
        AttachedDevice device = attacker();
        Rate undisturbed = new Rate();
        for (int i = 0; i < ROUNDS; i++) {
            undisturbed.awaitWork(device);
            startAgainIfHalfDone(device);
            feed();
        }
        undisturbed.print("self-DMA, undisturbed");

        // A queue that starts anew each round is idle for a while, and the neighbour gets more.
        Rate restarts = new Rate();
        for (int i = 0; i < ROUNDS; i++) {
            restarts.awaitWork(device);
            start(attackers, restarted(device));
            feed();
        }
        restarts.print("self-DMA, undisturbed, with a queue that starts anew each round");

        Rate resets = new Rate();
        for (int i = 0; i < ROUNDS; i++) {
            resets.awaitWork(device);
            int control = device.config().capability(0x13) + 4;
            run(attackers, List.of(store(device.configGpa() + control, 1, 1)));
            device.runFirmware();
            start(attackers, device);
            feed();
        }
        resets.print("function-level resets");

        Rate saves = new Rate();
        for (int i = 0; i < ROUNDS; i++) {
            saves.awaitWork(device);
            assertThat(bus.save(device.mdev().uuid(), OutputStream.nullOutputStream()))
                    .isPositive();
            startAgainIfHalfDone(device);
            feed();
        }
        saves.print("saves");

        Rate removals = new Rate();
        for (int i = 0; i < ROUNDS; i++) {
            removals.awaitWork(device);
            UUID uuid = device.mdev().uuid();
            bus.remove(uuid, Removal.forcing(Duration.ZERO));
            attackers.detach(uuid);
            device = attacker();
            feed();
        }
        removals.print("removals");

        assertThat(overdue).isEmpty();
        assertThat(errorOf(attackers, device)).isZero();
        assertThat(errorOf(neighbours, neighbour)).isZero();
    }

    /// Keeps the attacker's ring full.
    private void startAgainIfHalfDone(AttachedDevice device) {
        if (headOf(attackers, device) > ENTRIES / 2) {
            start(attackers, restarted(device));
        }
    }

    private AttachedDevice restarted(AttachedDevice device) {
        long bar = device.barGpa(GpuDevice.QUEUE_BAR).orElseThrow();
        run(attackers, List.of(store(bar + GpuGuest.REGISTERS + QueueState.CONTROL, 4, 0)));
        return device;
    }

    private static long errorOf(VirtualMachine vm, AttachedDevice device) {
        long bar = device.barGpa(GpuDevice.QUEUE_BAR).orElseThrow();
        return load(vm, bar + GpuGuest.REGISTERS + QueueState.ERROR, 4);
    }

    /// What the neighbour gets of the engine in a time. On a busy machine the engine's thread does
    /// not always run: the units of a second in which it ran are the neighbour's share.
    private final class Rate {
        private final long startNanos = System.nanoTime();
        private final long startUnits = units(neighbour);
        private final long startCpuNanos = engineCpuNanos();
        private long attackerUnits;

        /// Waits for some work of the attacker, and counts it.
        void awaitWork(AttachedDevice device) {
            long before = units(device);
            for (int i = 0; i < PIECES; i++) {
                long since = units(device);
                for (int spins = 1; units(device) == since; spins++) {
                    Thread.onSpinWait();
                    if (spins % SPINS == 0) {
                        // All may have been done before the units were counted.
                        startAgainIfHalfDone(device);
                    }
                }
            }
            attackerUnits += units(device) - before;
        }

        void print(String what) {
            double seconds = (System.nanoTime() - startNanos) / 1e9;
            double engineSeconds = (engineCpuNanos() - startCpuNanos) / 1e9;
            long units = units(neighbour) - startUnits;
            LOGGER.log(
                    System.Logger.Level.INFO,
                    "%s: the neighbour had %.1f %% of the work, %.0f units a second, %.0f a second of the engine, which ran for %.1f of %.1f s, %.2f ms a round"
                            .formatted(
                                    what,
                                    100.0 * units / (units + attackerUnits),
                                    units / seconds,
                                    units / engineSeconds,
                                    engineSeconds,
                                    seconds,
                                    1000 * seconds / ROUNDS));
        }
    }

    private static long engineCpuNanos() {
        ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        for (ThreadInfo info : threads.getThreadInfo(threads.getAllThreadIds())) {
            if (info != null && info.getThreadName().equals("gpu0-engine")) {
                return threads.getThreadCpuTime(info.getThreadId());
            }
        }
        throw new IllegalStateException("no engine");
    }
}
