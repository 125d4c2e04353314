package dev.mdev.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.MdevType;
import dev.mdev.api.page.Page;
import dev.mdev.core.bus.BusOptions;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.elastic.ElasticUsage;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.store.MemoryFiles;
import dev.mdev.core.vm.AttachedDevice;
import dev.mdev.core.vm.GuestProgram;
import dev.mdev.core.vm.GuestProgram.Step;
import dev.mdev.core.vm.MachineSpec;
import dev.mdev.core.vm.ProgramResult;
import dev.mdev.core.vm.VirtualMachine;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/// Devices that together may use 2.5 times the VRAM that there is, whatever engine runs their
/// guests.
///
/// Ten guests store to random pages of all their VRAM and check what they find there. In a normal
/// run, everything is a sixteenth of the real size: `-Dmdev.elastic.mib=64
/// -Dmdev.elastic.seconds=600` is the real one.
@Timeout(value = 3600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
abstract class ElasticVramContract {
    private static final Duration DEADLINE = Deadlines.HANG;
    private static final int DEVICES = 10;
    private static final int MAX_MIB = Integer.getInteger("mdev.elastic.mib", 4);
    private static final long SECONDS = Long.getLong("mdev.elastic.seconds", 4);
    private static final int STEPS = 64;

    /// After so many runs, a guest has stored to most of its pages, however slow the machine is.
    private static final int MIN_RUNS = MAX_MIB * 8;

    private final HostMemory memory = newMemory();
    private final MdevBus bus =
            new MdevBus(memory, new MemoryFiles(), BusOptions.of(DEADLINE, MdevObserver.NONE));
    private final List<VirtualMachine> machines = new ArrayList<>();

    abstract dev.mdev.core.engine.Engine guestEngine();

    /// Memory that the engine can map.
    abstract HostMemory newMemory();

    @AfterEach
    void stop() {
        machines.forEach(VirtualMachine::close);
        bus.close();
        memory.close();
    }

    private void addDriver(int vramMib, int maxMib) {
        bus.addDriver(
                new GpuParentDriver(),
                Map.of("vram-mib", "" + vramMib, "types-mib", "1", "elastic-mib", "" + maxMib));
    }

    private AttachedDevice attach(String type) {
        VirtualMachine vm =
                new VirtualMachine(
                        new MachineSpec("vm" + machines.size(), 1L << 20, 1),
                        guestEngine(),
                        memory);
        machines.add(vm);
        return vm.attach(bus.create(UUID.randomUUID(), "gpu0", type));
    }

    /// A guest that knows what it stored to the first word of each page.
    private static final class Guest {
        private final VirtualMachine vm;
        private final long vramGpa;
        private final long id;
        private final long[] stored;
        private final SplittableRandom random;

        Guest(VirtualMachine vm, AttachedDevice device, long id, int maxMib, long seed) {
            this.vm = vm;
            this.vramGpa = device.barGpa(GpuDevice.VRAM_BAR).orElseThrow();
            this.id = id;
            this.stored = new long[maxMib * 256];
            this.random = new SplittableRandom(seed);
        }

        /// Checks pages before it stores to them again.
        void run() {
            List<Step> steps = new ArrayList<>();
            for (int i = 0; i < STEPS; i++) {
                int page = random.nextInt(stored.length);
                Span word = new Span(vramGpa + Page.addressOf(page), 8, 1, 0);
                steps.add(new Step.Check(word, stored[page], 0));
                if (random.nextBoolean()) {
                    stored[page] = (id << 48) | (random.nextLong() >>> 16);
                    steps.add(new Step.Write(word, stored[page], 0));
                }
            }
            execute(steps);
        }

        void checkAll() {
            for (int page = 0; page < stored.length; page += STEPS) {
                List<Step> steps = new ArrayList<>();
                for (int i = page; i < Math.min(stored.length, page + STEPS); i++) {
                    steps.add(
                            new Step.Check(
                                    new Span(vramGpa + Page.addressOf(i), 8, 1, 0), stored[i], 0));
                }
                execute(steps);
            }
        }

        private void execute(List<Step> steps) {
            ProgramResult result =
                    vm.vcpu(0).execute(new GuestProgram(steps, false), DEADLINE).join();
            assertThat(result.end()).as("%s", result).isEqualTo(ProgramResult.End.COMPLETED);
            for (int i = 0; i < steps.size(); i++) {
                if (steps.get(i) instanceof Step.Check) {
                    assertThat(result.steps().get(i).mismatches())
                            .as("guest %d: %s %s", id, steps.get(i), result.steps().get(i))
                            .isZero();
                }
            }
        }
    }

    @Test
    void tenGuestsFindEveryWordInTwoAndAHalfTimesTheMemory() throws Exception {
        addDriver(DEVICES * MAX_MIB * 2 / 5, MAX_MIB);
        long seed = Long.getLong("mdev.seed", System.nanoTime());
        List<Guest> guests = new ArrayList<>();
        for (int i = 0; i < DEVICES; i++) {
            AttachedDevice device = attach("gpu-sample-elastic-" + MAX_MIB + "m");
            guests.add(new Guest(machines.get(i), device, i + 1, MAX_MIB, seed + i));
        }
        AtomicBoolean done = new AtomicBoolean();
        long start = System.nanoTime();
        try (ExecutorService threads = Executors.newFixedThreadPool(DEVICES + 1)) {
            List<Callable<Object>> work = new ArrayList<>();
            for (Guest guest : guests) {
                work.add(() -> {
                    for (int runs = 0;
                            runs < MIN_RUNS
                                    || System.nanoTime() - start
                                            < TimeUnit.SECONDS.toNanos(SECONDS);
                            runs++) {
                        guest.run();
                    }
                    guest.checkAll();
                    return true;
                });
            }
            Future<Object> watching = threads.submit(() -> watch(done));
            try {
                for (Future<Object> result : threads.invokeAll(work)) {
                    result.get();
                }
            } finally {
                done.set(true);
            }
            watching.get();
        } catch (ExecutionException e) {
            throw new AssertionError("again with -Dmdev.seed=" + seed, e);
        }
        assertThat(usages()).as("pages that came back").anyMatch(one -> one.returnedPages() > 0);
    }

    private List<ElasticUsage> usages() {
        return bus.parents().getFirst().elasticUsage();
    }

    private Object watch(AtomicBoolean done) {
        while (!done.get()) {
            for (ElasticUsage one : usages()) {
                assertThat(one.heldPages()).as("%s", one).isBetween(one.minPages(), one.maxPages());
            }
            assertThat(usages().stream().mapToLong(ElasticUsage::heldPages).sum())
                    .isLessThanOrEqualTo((long) DEVICES * MAX_MIB * 2 / 5 * 256);
            Thread.onSpinWait();
        }
        return true;
    }

    @Test
    void aDeviceThatIsCreatedGetsItsMinimumFromOthers() {
        addDriver(16, 32);
        AttachedDevice hog = attach("gpu-sample-elastic-32m");
        Guest first = new Guest(machines.get(0), hog, 1, 14, 1);
        for (int i = 0; i < 100; i++) {
            first.run();
        }
        assertThat(hog.mdev().elastic().getFirst().usage().heldPages()).isGreaterThan(8 * 256);
        assertThat(bus.available(bus.parents().getFirst(), elasticType(32))).isEqualTo(1);
        AttachedDevice late = attach("gpu-sample-elastic-32m");
        assertThat(late.mdev().elastic().getFirst().usage().heldPages()).isEqualTo(8 * 256);
        Guest second = new Guest(machines.get(1), late, 2, 16, 2);
        for (int i = 0; i < 20; i++) {
            second.run();
            first.run();
        }
        first.checkAll();
        second.checkAll();
    }

    private MdevType elasticType(int maxMib) {
        return bus.parents().getFirst().type("gpu-sample-elastic-" + maxMib + "m");
    }

    @Test
    void aResetClearsWhatIsInTheStoreAsWell() {
        addDriver(16, 64);
        AttachedDevice device = attach("gpu-sample-elastic-64m");
        Mdev mdev = device.mdev();
        Guest guest = new Guest(machines.get(0), device, 1, 64, 3);
        for (int i = 0; i < 100; i++) {
            guest.run();
        }
        assertThat(mdev.elastic().getFirst().usage().storedPages()).isPositive();
        mdev.reset();
        device.mdev().runFirmware();
        assertThat(mdev.elastic().getFirst().usage().storedPages()).isZero();
        assertThat(mdev.elastic().getFirst().usage().usedPages()).isZero();
        byte[] part = new byte[1 << 20];
        byte[] zeroes = new byte[part.length];
        for (long at = 0; at < 64L << 20; at += part.length) {
            mdev.elastic().getFirst().peek(at, MemorySegment.ofArray(part));
            assertThat(Arrays.mismatch(part, zeroes)).as("first byte from %d on", at).isEqualTo(-1);
        }
    }
}
