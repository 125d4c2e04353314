package dev.mdev.core.vm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.engine.software.SoftwareOptions;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.gate.Deadlines;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.Executor;

/// A machine of the software engine with PCI functions in it.
final class PciMachine implements AutoCloseable {
    static final long RAM_BYTES = 1L << 20;
    static final Duration PATIENCE = Deadlines.HANG;
    static final int COMMAND = 0x04;
    static final int MEMORY = 2;
    static final int MASTER = 4;

    /// A thread for each task: those of a common pool may all be waiting.
    static final Executor THREADS = task -> Thread.ofPlatform().daemon().start(task);

    final PciDriver driver = new PciDriver();
    final HostMemory memory;
    final MdevBus bus;
    final VirtualMachine vm;

    PciMachine() {
        this(RAM_BYTES);
    }

    PciMachine(long ramBytes) {
        this(ramBytes, SoftwareOptions.DEFAULT);
    }

    PciMachine(long ramBytes, SoftwareOptions options) {
        this(
                new MachineSpec("vm", ramBytes, 2),
                new SoftwareEngine(PATIENCE, options),
                new OffHeapBackend());
    }

    /// @param backend memory that the engine can map
    PciMachine(MachineSpec spec, Engine engine, MemoryBackend backend) {
        memory = new HostMemory(backend);
        bus = new MdevBus(memory, PATIENCE, MdevObserver.NONE);
        bus.addDriver(driver, Map.of());
        vm = new VirtualMachine(spec, engine, memory);
    }

    Mdev create() {
        return bus.create(UUID.randomUUID(), PciDriver.PARENT, PciDriver.TYPE);
    }

    AttachedDevice attach() {
        return vm.attach(create());
    }

    PciDriver.Device device(int index) {
        return driver.devices.get(index);
    }

    ProgramResult run(GuestProgram.Step... steps) {
        return vm.vcpu(0).execute(new GuestProgram(List.of(steps), false), PATIENCE).join();
    }

    /// One guest load.
    long load(long gpa, int widthBytes) {
        ProgramResult result = run(new GuestProgram.Step.Read(new Span(gpa, widthBytes, 1, 0)));
        assertThat(result.end()).as("%s", result).isEqualTo(ProgramResult.End.COMPLETED);
        return result.steps().getFirst().values().getFirst();
    }

    /// One guest store.
    void store(long gpa, int widthBytes, long value) {
        ProgramResult result =
                run(new GuestProgram.Step.Write(new Span(gpa, widthBytes, 1, 0), value, 0));
        assertThat(result.end()).as("%s", result).isEqualTo(ProgramResult.End.COMPLETED);
    }

    /// Whether a device or memory answers at an address.
    boolean answers(long gpa) {
        ProgramResult result = run(new GuestProgram.Step.Read(new Span(gpa, 4, 1, 0)));
        return result.steps().getFirst().unassigned() == 0;
    }

    /// The machine's slots but RAM, by first address.
    List<Memslot> deviceSlots() {
        List<Memslot> found = new ArrayList<>();
        for (int id = 1; id < 512; id++) {
            Memslot slot = vm.slots().slotOf(id);
            if (slot != null) {
                found.add(slot);
            }
        }
        return found;
    }

    /// The slot of RAM.
    Memslot ram() {
        return Objects.requireNonNull(vm.slots().slotOf(0));
    }

    /// Changes the flags of RAM's slot.
    void setRamFlags(int flags) {
        UserMemoryRegion region = ram().region();
        vm.slots()
                .setUserMemoryRegion(
                        new UserMemoryRegion(
                                0, flags, region.gpa(), region.sizeBytes(), region.hva()));
    }

    /// The pages of RAM that its log has.
    List<Integer> dirtyPages() {
        DirtyBitmap bitmap = Objects.requireNonNull(ram().bitmap());
        List<Integer> pages = new ArrayList<>();
        for (int page = 0; page < bitmap.npages(); page++) {
            if (bitmap.test(page)) {
                pages.add(page);
            }
        }
        return pages;
    }

    /// What a device reads.
    static long readLong(GuestMemory memory, long iova) {
        MemorySegment value = MemorySegment.ofArray(new long[1]);
        memory.read(iova, value);
        return value.get(ValueLayout.JAVA_LONG, 0);
    }

    /// A device writes.
    static void writeLong(GuestMemory memory, long iova, long value) {
        memory.write(iova, MemorySegment.ofArray(new long[] {value}));
    }

    static long gpaOf(Memslot slot) {
        return Page.addressOf(slot.baseGfn());
    }

    static void assertErrno(Errno errno, ThrowingCallable call) {
        assertThat(org.assertj.core.api.Assertions.catchThrowable(call))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(errno));
    }

    @Override
    public void close() {
        vm.close();
        bus.close();
        memory.close();
    }
}
