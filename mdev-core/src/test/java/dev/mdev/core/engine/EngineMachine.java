package dev.mdev.core.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Page;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.vm.AttachedDevice;
import dev.mdev.core.vm.GuestProgram;
import dev.mdev.core.vm.GuestProgram.Step;
import dev.mdev.core.vm.MachineSpec;
import dev.mdev.core.vm.ProgramResult;
import dev.mdev.core.vm.StepResult;
import dev.mdev.core.vm.VirtualMachine;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/// A machine on the engine under test, and a driver whose answers a test sets.
abstract class EngineMachine {
    protected static final Duration DEADLINE = Deadlines.HANG;

    static final long RAM_BYTES = 1L << 20;
    static final int VCPUS = 3;

    HostMemory memory;
    ScriptedDriver driver;
    MdevBus bus;
    VirtualMachine vm;

    /// The engine under test.
    protected abstract Engine engine();

    /// Memory that the engine can map.
    protected abstract HostMemory newMemory();

    @BeforeEach
    void start() {
        memory = newMemory();
        driver = new ScriptedDriver();
        bus = new MdevBus(memory, DEADLINE, MdevObserver.NONE);
        bus.addDriver(driver, Map.of());
        vm = new VirtualMachine(new MachineSpec("vm", RAM_BYTES, VCPUS), engine(), memory);
    }

    @AfterEach
    void stop() {
        vm.close();
        bus.close();
        memory.close();
    }

    final Mdev create() {
        return bus.create(UUID.randomUUID(), ScriptedDriver.PARENT, ScriptedDriver.TYPE);
    }

    final AttachedDevice attach() {
        return vm.attach(create());
    }

    final ScriptedDriver.Device driverDevice(int index) {
        return driver.devices.get(index);
    }

    static long bar(AttachedDevice device, int index) {
        return device.barGpa(index).orElseThrow();
    }

    /// One 8-byte access at the start of each of `npages` pages.
    static Span pages(long gpa, long npages) {
        return new Span(gpa, 8, npages, Page.SIZE);
    }

    static Step write(Span span, long value, long step) {
        return new Step.Write(span, value, step);
    }

    static Step check(Span span, long value, long step) {
        return new Step.Check(span, value, step);
    }

    static GuestProgram program(Step... steps) {
        return new GuestProgram(List.of(steps), false);
    }

    final ProgramResult run(Step... steps) {
        return vm.vcpu(0).execute(program(steps), DEADLINE).join();
    }

    final List<Long> read(Span span) {
        ProgramResult result = run(new Step.Read(span));
        assertCompleted(result);
        return result.steps().getFirst().values();
    }

    static void assertCompleted(ProgramResult result) {
        assertThat(result.end()).as(() -> result.toString()).isEqualTo(ProgramResult.End.COMPLETED);
        for (StepResult step : result.steps()) {
            assertThat(step.mismatches()).as(() -> result.toString()).isZero();
        }
    }

    /// Does a step again and again, for longer than any test takes: a processor may do 2^31
    /// accesses in a minute.
    static GuestProgram endless(Step step) {
        return new GuestProgram(Collections.nCopies(1000, step), false);
    }

    static void assertInterrupted(CompletableFuture<ProgramResult> running) throws Exception {
        ProgramResult result = running.get(DEADLINE.toSeconds(), TimeUnit.SECONDS);
        assertThat(result.end())
                .as(() -> result.toString())
                .isEqualTo(ProgramResult.End.INTERRUPTED);
    }

    final long deviceLong(int device, long page, long offset) {
        MemorySegment value = MemorySegment.ofArray(new long[1]);
        driver.aperture().read(apertureOffset(device, page) + offset, value);
        return value.get(ValueLayout.JAVA_LONG, 0);
    }

    final void setDeviceLong(int device, long page, long offset, long value) {
        driver.aperture()
                .write(
                        apertureOffset(device, page) + offset,
                        MemorySegment.ofArray(new long[] {value}));
    }

    private long apertureOffset(int device, long page) {
        return Page.addressOf(
                driverDevice(device).pfnOf(page) - driver.aperture().pfns().firstPfn());
    }
}
