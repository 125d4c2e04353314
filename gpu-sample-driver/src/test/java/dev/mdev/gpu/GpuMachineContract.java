package dev.mdev.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.LinearMemory.Layouts;
import dev.mdev.api.page.Page;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.capacity.PoolExtent;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.Scanout;
import dev.mdev.core.elastic.DeviceMemory;
import dev.mdev.core.elastic.ElasticPool;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.mapping.FaultRecord;
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
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;

/// The driver under a guest's program, whatever engine runs it. The guest knows BARs, registers and
/// its own memory; nothing here reaches into the driver.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
abstract class GpuMachineContract {
    private static final Duration DEADLINE = Deadlines.HANG;
    private static final long RAM_BYTES = 4L << 20;
    private static final long RING = 0x1_0000;
    private static final long RAMP = 0x2_0000;

    private final HostMemory memory = newMemory();
    private final MdevBus bus = new MdevBus(memory, DEADLINE, MdevObserver.NONE);
    private final VirtualMachine vm =
            new VirtualMachine(new MachineSpec("vm", RAM_BYTES, 1), guestEngine(), memory);

    abstract dev.mdev.core.engine.Engine guestEngine();

    /// Memory that the engine can map.
    abstract HostMemory newMemory();

    @AfterEach
    void stop() {
        vm.close();
        bus.close();
        memory.close();
    }

    private AttachedDevice attach(Map<String, String> settings, String type) {
        bus.addDriver(new GpuParentDriver(), settings);
        return vm.attach(bus.create(UUID.randomUUID(), "gpu0", type));
    }

    private ProgramResult run(List<Step> steps) {
        return vm.vcpu(0).execute(new GuestProgram(steps, false), DEADLINE).join();
    }

    /// Executes steps in as few programs as possible.
    private void runAll(List<Step> steps) {
        for (int i = 0; i < steps.size(); i += GuestProgram.MAX_STEPS) {
            int end = Math.min(steps.size(), i + GuestProgram.MAX_STEPS);
            ProgramResult result = run(steps.subList(i, end));
            assertThat(result.end()).as("%s", result).isEqualTo(ProgramResult.End.COMPLETED);
        }
    }

    private static Step store(long gpa, int width, long value) {
        return new Step.Write(new Span(gpa, width, 1, 0), value, 0);
    }

    private long load(long gpa, int width) {
        ProgramResult result = run(List.of(new Step.Read(new Span(gpa, width, 1, 0))));
        assertThat(result.end()).as("%s", result).isEqualTo(ProgramResult.End.COMPLETED);
        return result.steps().getFirst().values().getFirst();
    }

    private static long bar(AttachedDevice device, int index) {
        return device.barGpa(index).orElseThrow();
    }

    private void setMode(AttachedDevice device) {
        long dispi = bar(device, GpuDevice.MMIO_BAR) + GpuDisplay.DISPI;
        runAll(
                List.of(
                        store(dispi + 2 * Dispi.BPP, 2, 32),
                        store(dispi + 2 * Dispi.XRES, 2, TestCard.WIDTH),
                        store(dispi + 2 * Dispi.YRES, 2, TestCard.HEIGHT),
                        store(dispi + 2 * Dispi.ENABLE, 2, 0x41)));
    }

    private static void assertShowsTheCard(AttachedDevice device) {
        assertThat(device.mdev().scanout())
                .isInstanceOfSatisfying(
                        Scanout.Shown.class,
                        shown -> assertThat(TestCard.differenceTo(shown.picture())).isEmpty());
    }

    @Test
    void aVgaDisplayShowsItsFirstPixelsAtTheLegacyAddress() {
        AttachedDevice device = attach(Map.of("vga", "true"), "gpu-sample-16m");
        runAll(List.of(store(0xa0000, 8, 0x1122), store(0xbfff8, 8, 0x3344)));
        assertThat(load(bar(device, GpuDevice.VRAM_BAR), 8)).isEqualTo(0x1122);
        assertThat(load(bar(device, GpuDevice.VRAM_BAR) + 0x1fff8, 8)).isEqualTo(0x3344);
        runAll(List.of(store(bar(device, GpuDevice.VRAM_BAR) + 0x1000, 4, 0x55)));
        assertThat(load(0xa1000, 4)).isEqualTo(0x55);
        assertThat(load(0x9fff8, 8)).as("RAM below").isZero();
    }

    @Test
    void anElasticVgaDisplayServesTheLegacyAddressItself() {
        AttachedDevice device = attach(Map.of("vga", "true"), "gpu-sample-elastic-64m");
        runAll(List.of(store(0xa0000, 8, 0x1122)));
        assertThat(load(bar(device, GpuDevice.VRAM_BAR), 8)).isEqualTo(0x1122);
    }

    @Test
    void aCardThatTheProcessorDrewIsInThePicture() {
        AttachedDevice device = attach(Map.of(), "gpu-sample-16m");
        setMode(device);
        assertThat(device.mdev().faultCount()).as("pages mapped by setting a mode").isZero();
        runAll(cardByStores(bar(device, GpuDevice.VRAM_BAR)));
        assertShowsTheCard(device);
        assertThat(device.mdev().residentPages(GpuDevice.VRAM_BAR)).isEqualTo(TestCard.PAGES);
        assertThat(device.mdev().faultCount()).isEqualTo(TestCard.PAGES);
        assertThat(device.mdev().faultCounts())
                .containsEntry(FaultRecord.Outcome.GRANTED, (long) TestCard.PAGES);
    }

    /// Bars column by column, the ramp line by line.
    private static List<Step> cardByStores(long vram) {
        List<Step> steps = new ArrayList<>();
        for (int x = 0; x < TestCard.WIDTH; x++) {
            Span column = new Span(vram + 4L * x, 4, TestCard.BAR_LINES, TestCard.PITCH);
            steps.add(new Step.Write(column, TestCard.bar(x / TestCard.BAR_WIDTH), 0));
        }
        for (int y = TestCard.BAR_LINES; y < TestCard.HEIGHT; y++) {
            steps.addAll(ramp(vram + (long) y * TestCard.PITCH));
        }
        return steps;
    }

    /// A line of the ramp, which starts again after 256 pixels.
    private static List<Step> ramp(long at) {
        int rest = TestCard.WIDTH - 256;
        return List.of(
                new Step.Write(new Span(at, 4, 256, 4), 0, 0x01_01_01),
                new Step.Write(new Span(at + 4 * 256, 4, rest, 4), 0, 0x01_01_01));
    }

    @Test
    void aCardThatTheEngineDrewIsInThePicture() throws InterruptedException {
        AttachedDevice device = attach(Map.of(), "gpu-sample-16m");
        assertThat(device.enableMessages()).isEqualTo(1);
        setMode(device);
        List<Command> commands = cardByCommands();
        List<Step> steps = new ArrayList<>(ramp(RAMP));
        for (int i = 0; i < commands.size(); i++) {
            steps.addAll(command(RING + (long) i * Command.SIZE, commands.get(i)));
        }
        steps.addAll(start(device));
        long queueBar = bar(device, GpuDevice.QUEUE_BAR);
        steps.add(store(queueBar, 4, commands.size()));
        runAll(steps);

        assertThat(device.interrupts().await(0, 1, DEADLINE)).as("the fence's message").isTrue();
        assertThat(load(queueBar + Page.bytesOf(GpuDevice.FENCE_PAGE), 8)).isEqualTo(4711);
        assertThat(load(queueBar + GpuGuest.REGISTERS + QueueState.FENCE, 8)).isEqualTo(4711);
        assertThat(device.interrupts().count(0)).isEqualTo(1);
        assertShowsTheCard(device);
        assertThat(device.mdev().residentPages(GpuDevice.VRAM_BAR))
                .as("VRAM pages that the guest has mapped")
                .isZero();
        assertThat(device.mdev().residentPages(GpuDevice.QUEUE_BAR))
                .as("doorbell, which may be armed by now, and fence page")
                .isBetween(1L, 2L);
    }

    private static List<Command> cardByCommands() {
        List<Command> commands = new ArrayList<>();
        for (int i = 0; i < TestCard.bars(); i++) {
            long width = 4L * TestCard.BAR_WIDTH;
            Rows rows = new Rows(i * width, TestCard.PITCH, width, TestCard.BAR_LINES);
            commands.add(GpuGuest.fill(TestCard.bar(i), rows));
        }
        long first = (long) TestCard.BAR_LINES * TestCard.PITCH;
        commands.add(GpuGuest.copy(Command.COPY_IN, Rows.of(first, TestCard.PITCH), RAMP, 0));
        // The other lines of the ramp come from its first.
        long lines = TestCard.HEIGHT - TestCard.BAR_LINES - 1L;
        Rows below = new Rows(first + TestCard.PITCH, TestCard.PITCH, TestCard.PITCH, lines);
        commands.add(GpuGuest.copy(Command.COPY_IN, below, RAMP, 0));
        commands.add(GpuGuest.fence(4711));
        return commands;
    }

    private static List<Step> command(long gpa, Command command) {
        MemorySegment bytes = MemorySegment.ofArray(command.bytes());
        List<Step> steps = new ArrayList<>();
        for (int offset = 0; offset < Command.SIZE; offset += 8) {
            steps.add(store(gpa + offset, 8, bytes.get(Layouts.LONG, offset)));
        }
        return steps;
    }

    private static List<Step> start(AttachedDevice device) {
        long queue = bar(device, GpuDevice.QUEUE_BAR) + GpuGuest.REGISTERS;
        return List.of(
                store(queue + QueueState.RING_BASE, 8, RING),
                store(queue + QueueState.RING_ENTRIES, 4, 16),
                store(queue + QueueState.IRQ_MASK, 4, 3),
                store(queue + QueueState.CONTROL, 4, 1));
    }

    @Test
    void pagesThatCameInAnotherOrderMakeTheSamePicture() {
        AttachedDevice device = attach(Map.of(), "gpu-sample-elastic-64m");
        setMode(device);
        long vram = bar(device, GpuDevice.VRAM_BAR);
        List<Step> backwards = new ArrayList<>();
        for (int page = TestCard.PAGES - 1; page >= 0; page--) {
            backwards.add(store(vram + Page.addressOf(page), 4, page));
        }
        runAll(backwards);
        runAll(cardByStores(vram));
        assertShowsTheCard(device);
        assertThat(device.mdev().residentPages(GpuDevice.VRAM_BAR)).isEqualTo(TestCard.PAGES);
    }

    @Test
    void aCardWhosePagesWereTakenAwayIsInThePictureAndForTheEngine() throws InterruptedException {
        AttachedDevice device =
                attach(
                        Map.of("vram-mib", "16", "types-mib", "1", "elastic-mib", "8"),
                        "gpu-sample-elastic-8m");
        device.enableMessages();
        setMode(device);
        long vram = bar(device, GpuDevice.VRAM_BAR);
        runAll(cardByStores(vram));
        List<Step> rest = new ArrayList<>();
        for (long at = 1 << 20; at < 8 << 20; at += 1 << 16) {
            rest.add(store(vram + at, 4, at));
        }
        runAll(rest);
        DeviceMemory memory = device.mdev().elastic().getFirst();
        long above = memory.usage().reclaimablePages();
        ElasticPool pool =
                Objects.requireNonNull(bus.parents().getFirst().elastic().get(memory.pool()));
        assertThat(pool.makeFree(above)).isEqualTo(above);
        assertThat(memory.pfnOf(0)).as("what came first goes first").isEmpty();

        assertShowsTheCard(device);
        assertThat(memory.pfnOf(0)).as("a look brings nothing in").isEmpty();

        long copy = 4 << 20;
        Rows to = Rows.of(copy, (long) TestCard.PITCH * TestCard.HEIGHT);
        List<Step> steps = new ArrayList<>();
        steps.addAll(command(RING, GpuGuest.copy(Command.BLIT, to, 0, 0)));
        steps.addAll(command(RING + Command.SIZE, GpuGuest.fence(7)));
        steps.addAll(start(device));
        steps.add(store(bar(device, GpuDevice.QUEUE_BAR), 4, 2));
        runAll(steps);
        assertThat(device.interrupts().await(0, 1, DEADLINE)).isTrue();
        for (int i = 0; i < TestCard.bars(); i++) {
            assertThat(load(vram + copy + 4L * i * TestCard.BAR_WIDTH, 4))
                    .as("bar %d", i)
                    .isEqualTo(TestCard.bar(i));
        }
    }

    @Test
    void pagesThatNobodyTouchedAreBlackInThePictureAndStayUntouched() {
        AttachedDevice device = attach(Map.of(), "gpu-sample-16m");
        setMode(device);
        runAll(List.of(store(bar(device, GpuDevice.VRAM_BAR) + 100 * TestCard.PITCH, 4, 0xABCDEF)));
        assertThat(device.mdev().scanout())
                .isInstanceOfSatisfying(
                        Scanout.Shown.class,
                        shown -> {
                            int[] expected = new int[TestCard.WIDTH * TestCard.HEIGHT];
                            expected[100 * TestCard.WIDTH] = 0xABCDEF;
                            assertThat(shown.picture().rgb()).isEqualTo(expected);
                        });
        assertThat(device.mdev().residentPages()).isEqualTo(1);
    }

    @Test
    void guardsAndTheFencePageHoldWhereTheyAreToHold() {
        AttachedDevice device = attach(Map.of("types-mib", "48"), "gpu-sample-48m");
        long queueBar = bar(device, GpuDevice.QUEUE_BAR);
        long fencePage = queueBar + Page.bytesOf(GpuDevice.FENCE_PAGE);
        assertThat(load(fencePage, 8)).isZero();
        assertFaults(device, store(fencePage, 8, 1), "the fence page is read only");
        assertThat(load(fencePage, 8)).isZero();
        assertFaults(device, store(fencePage + Page.SIZE, 4, 1), "the page of sines is read only");
        long end = bar(device, GpuDevice.VRAM_BAR) + (48L << 20);
        runAll(List.of(store(end - 8, 8, 5)));
        assertFaults(device, store(end, 8, 5), "past the end of VRAM");
        assertThat(device.mdev().residentPages()).as("fence page, last of VRAM").isEqualTo(2);
    }

    @Test
    void allDevicesMapTheOnePageOfSinesAndNoneStoresToIt() {
        AttachedDevice first = attach(Map.of(), "gpu-sample-16m");
        AttachedDevice second =
                vm.attach(bus.create(UUID.randomUUID(), "gpu0", "gpu-sample-elastic-64m"));
        for (AttachedDevice device : List.of(first, second)) {
            long sines = bar(device, GpuDevice.QUEUE_BAR) + Page.bytesOf(GpuDevice.SINES_PAGE);
            for (int i : new int[] {0, 1, Sines.COUNT / 4, Sines.COUNT - 1}) {
                assertThat((short) load(sines + 2L * i, 2)).as("%d", i).isEqualTo(Sines.valueAt(i));
            }
            assertFaults(device, store(sines, 2, 7), "the page of sines is read only");
        }
        Mdev third = bus.create(UUID.randomUUID(), "gpu0", "gpu-sample-16m");
        third.reset();
        bus.remove(third.uuid());
        second.mdev().reset();
        long sines = bar(first, GpuDevice.QUEUE_BAR) + Page.bytesOf(GpuDevice.SINES_PAGE);
        assertThat((short) load(sines + Sines.COUNT / 2, 2)).isEqualTo(Short.MAX_VALUE);
        assertThat(bus.parents().getFirst().extents(Sines.POOL))
                .containsExactly(new PoolExtent(0, 1, PoolExtent.Use.SHARED, Optional.empty()));
    }

    private void assertFaults(AttachedDevice device, Step step, String why) {
        assertThat(run(List.of(step)).end()).isEqualTo(ProgramResult.End.FAULTED);
        FaultRecord last = device.mdev().recentFaults().getFirst();
        assertThat(last.outcome()).isEqualTo(FaultRecord.Outcome.DENIED);
        assertThat(last.toString()).contains(why);
    }

    @Test
    void aBadCommandStopsTheQueueOfOneMachineAndSendsItsMessage() throws InterruptedException {
        AttachedDevice device = attach(Map.of(), "gpu-sample-16m");
        device.enableMessages();
        Command bad = GpuGuest.fill(0, Rows.of(16L << 20, 4));
        List<Step> steps = new ArrayList<>(command(RING, bad));
        steps.addAll(start(device));
        long queueBar = bar(device, GpuDevice.QUEUE_BAR);
        steps.add(store(queueBar, 4, 1));
        runAll(steps);
        assertThat(device.interrupts().await(0, 1, DEADLINE)).isTrue();
        long registers = queueBar + GpuGuest.REGISTERS;
        assertThat(load(registers + QueueState.ERROR, 4)).isEqualTo(QueueError.BAD_RANGE.ordinal());
        assertThat(load(registers + QueueState.STATUS, 4)).isEqualTo(2);
        assertThat(load(registers + QueueState.HEAD, 4)).isZero();
    }
}
