package dev.mdev.pcisplit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.Page;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevEvent;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.vm.AttachedDevice;
import dev.mdev.core.vm.GuestProgram;
import dev.mdev.core.vm.GuestProgram.Step;
import dev.mdev.core.vm.MachineSpec;
import dev.mdev.core.vm.ProgramResult;
import dev.mdev.core.vm.ProgramResult.End;
import dev.mdev.core.vm.VirtualMachine;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/// Two machines that share a function's memory page by page, whatever engine runs them, and whether
/// the function is real. Its BAR 2 has 4 MiB of memory.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
abstract class SplitMachineContract {
    static final Duration DEADLINE = Deadlines.HANG;
    private static final long RAM_BYTES = 1L << 20;
    private static final int SMALL_PAGES = 256;

    private final BlockingQueue<MdevEvent> events = new LinkedBlockingQueue<>();
    private final HostMemory memory = newMemory();
    private final MdevObserver observer =
            new MdevObserver() {
                @Override
                public void event(MdevEvent event) {
                    events.add(event);
                }
            };
    final MdevBus bus = new MdevBus(memory, DEADLINE, observer);
    private final List<VirtualMachine> machines = new ArrayList<>();
    private @TempDir Path folder;

    abstract Engine newEngine();

    /// Memory that the engine can map.
    abstract HostMemory newMemory();

    /// The driver, in its view of sysfs.
    abstract PciSplitDriver newDriver();

    /// The address of the function.
    abstract String address();

    /// Takes the function off the bus, while guests use it.
    abstract void unplug();

    /// The description's pool: how the function's memory is mapped.
    String poolOptions() {
        return "";
    }

    @BeforeEach
    final void share() throws IOException {
        Files.writeString(
                folder.resolve("memory.yaml"),
                """
                function: "%s"
                name: memory0
                pools:
                  memory: {bar: 2, size: 4MiB%s}
                types:
                  small:
                    demands: {memory: {size: 1MiB}}
                    bars: {0: {size: 2MiB, areas: [{pool: memory}]}}
                  eager:
                    demands: {memory: {size: 64KiB}}
                    bars: {0: {areas: [{pool: memory, map: eager}]}}
                  reading:
                    demands: {memory: {size: 64KiB}}
                    bars: {0: {areas: [{pool: memory, read-only: true}]}}
                """
                        .formatted(address(), poolOptions()));
        List<String> reports = new ArrayList<>();
        bus.addDriver(
                newDriver(), Map.of("dir", folder.toString(), "look-millis", "20"), reports::add);
        assertThat(reports).isEmpty();
        assertThat(bus.parents()).hasSize(1);
    }

    @AfterEach
    final void stop() {
        machines.forEach(VirtualMachine::close);
        bus.close();
        memory.close();
    }

    final VirtualMachine newMachine() {
        VirtualMachine machine =
                new VirtualMachine(
                        new MachineSpec("vm" + machines.size(), RAM_BYTES, 1), newEngine(), memory);
        machines.add(machine);
        return machine;
    }

    final Mdev create(String type) {
        return bus.create(UUID.randomUUID(), "memory0", type);
    }

    private static CompletableFuture<ProgramResult> start(VirtualMachine machine, Step... steps) {
        return machine.vcpu(0).execute(new GuestProgram(List.of(steps), false), DEADLINE);
    }

    private static ProgramResult run(VirtualMachine machine, Step... steps) {
        return start(machine, steps).join();
    }

    private static void runAll(VirtualMachine machine, Step... steps) {
        ProgramResult result = run(machine, steps);
        assertThat(result.end()).as("%s", result).isEqualTo(End.COMPLETED);
        assertThat(result.steps()).allSatisfy(step -> assertThat(step.mismatches()).isZero());
    }

    private static long bar(AttachedDevice device) {
        return device.barGpa(0).orElseThrow();
    }

    private static Span pages(AttachedDevice device, long npages) {
        return new Span(bar(device), 8, npages, Page.SIZE);
    }

    /// The word at the start of a page of a device's share, as the function has it.
    private static long inFunction(Mdev mdev, long page) {
        PoolShare share = mdev.share().getFirst();
        var aperture = mdev.parent().aperture();
        return aperture.load(aperture.offsetOf(share.pfnOf(page)), 8);
    }

    @Test
    void twoMachinesShareTheFunctionPageByPage() {
        VirtualMachine one = newMachine();
        VirtualMachine other = newMachine();
        AttachedDevice a = one.attach(create("small"));
        AttachedDevice b = other.attach(create("small"));
        assertThat(a.mdev().residentPages()).isZero();
        runAll(one, new Step.Write(pages(a, SMALL_PAGES), 1000, 1));
        runAll(other, new Step.Check(pages(b, SMALL_PAGES), 0, 0));
        runAll(other, new Step.Write(pages(b, SMALL_PAGES), 5000, 1));
        runAll(one, new Step.Check(pages(a, SMALL_PAGES), 1000, 1));
        assertThat(a.mdev().faultCount()).isEqualTo(SMALL_PAGES);
        for (int page = 0; page < SMALL_PAGES; page++) {
            assertThat(inFunction(a.mdev(), page)).isEqualTo(1000 + page);
            assertThat(inFunction(b.mdev(), page)).isEqualTo(5000 + page);
        }
    }

    /// The file that shows the pool decides it, and each grant asks for it.
    @Test
    void aPoolIsMappedWithTheMemoryTypeOfItsDescription() {
        VirtualMachine machine = newMachine();
        AttachedDevice device = machine.attach(create("small"));

        runAll(machine, new Step.Write(pages(device, 1), 1, 0));

        assertThat(device.mdev().recentFaults().getFirst().answer())
                .endsWith(
                        poolOptions().contains("write-combining: true")
                                ? "WRITE_COMBINING"
                                : "UNCACHED");
    }

    @Test
    void pastItsShareAGuestFindsNothing() {
        VirtualMachine machine = newMachine();
        AttachedDevice device = machine.attach(create("small"));
        Mdev neighbour = create("small");
        Span past = new Span(bar(device) + (1 << 20), 8, SMALL_PAGES, Page.SIZE);
        runAll(machine, new Step.Write(past, -1, 0), new Step.Check(past, 0, 0));
        assertThat(device.mdev().residentPages()).isZero();
        for (int page = 0; page < SMALL_PAGES; page++) {
            assertThat(inFunction(neighbour, page)).isZero();
        }
    }

    @Test
    void accessesOfAllWidthsReachTheFunction() {
        VirtualMachine machine = newMachine();
        AttachedDevice device = machine.attach(create("small"));
        long at = bar(device);
        runAll(
                machine,
                new Step.Write(new Span(at, 8, 1, 0), 0x1122_3344_5566_7788L, 0),
                new Step.Write(new Span(at + 1, 1, 1, 0), 0xaa, 0),
                new Step.Write(new Span(at + 2, 2, 1, 0), 0xbbcc, 0),
                new Step.Write(new Span(at + 4, 4, 1, 0), 0x9988_7766L, 0),
                new Step.Check(new Span(at, 8, 1, 0), 0x9988_7766_bbcc_aa88L, 0),
                new Step.Write(new Span(at + Page.SIZE - 3, 8, 1, 0), 0x0102_0304_0506_0708L, 0),
                new Step.Check(new Span(at + Page.SIZE - 3, 8, 1, 0), 0x0102_0304_0506_0708L, 0));
        assertThat(inFunction(device.mdev(), 0)).isEqualTo(0x9988_7766_bbcc_aa88L);
        assertThat(inFunction(device.mdev(), 1) & 0xff_ffff_ffffL).isEqualTo(0x01_0203_0405L);
    }

    @Test
    void aRevokedPageFaultsAgain() {
        VirtualMachine machine = newMachine();
        AttachedDevice device = machine.attach(create("small"));
        runAll(machine, new Step.Write(pages(device, 16), 7, 1));
        device.mdev().revoke(0, 4, 8);
        assertThat(device.mdev().residentPages()).isEqualTo(8);
        runAll(machine, new Step.Check(pages(device, 16), 7, 1));
        assertThat(device.mdev().residentPages()).isEqualTo(16);
        assertThat(device.mdev().faultCount()).isEqualTo(16 + 8);
    }

    @Test
    void anEagerBarIsMappedAtOnceAndAReadOnlyOneIsNotStoredTo() {
        VirtualMachine machine = newMachine();
        AttachedDevice eager = machine.attach(create("eager"));
        assertThat(eager.mdev().residentPages()).isEqualTo(16);
        runAll(machine, new Step.Write(pages(eager, 16), 3, 1));
        assertThat(inFunction(eager.mdev(), 15)).isEqualTo(18);
        AttachedDevice reading = machine.attach(create("reading"));
        runAll(machine, new Step.Check(pages(reading, 16), 0, 0));
        assertThat(run(machine, new Step.Write(pages(reading, 1), 3, 1)).end())
                .isEqualTo(End.FAULTED);
        assertThat(inFunction(reading.mdev(), 0)).isZero();
    }

    @Test
    void nothingOfADeviceIsLeftAfterAResetOrForTheNext() {
        VirtualMachine machine = newMachine();
        AttachedDevice device = machine.attach(create("small"));
        runAll(machine, new Step.Write(pages(device, SMALL_PAGES), 1000, 1));
        bus.reset(device.mdev().uuid());
        device.runFirmware();
        runAll(machine, new Step.Check(pages(device, SMALL_PAGES), 0, 0));
        runAll(machine, new Step.Write(pages(device, SMALL_PAGES), 1000, 1));
        machine.detach(device.mdev().uuid());
        bus.remove(device.mdev().uuid());
        for (int i = 0; i < 4; i++) {
            Mdev next = create("small");
            for (int page = 0; page < SMALL_PAGES; page++) {
                assertThat(inFunction(next, page)).isZero();
            }
        }
        assertThatExceptionOfType(MdevException.class).isThrownBy(() -> create("eager"));
    }

    /// The last one: QEMU cannot plug a function into its memory a second time.
    @Test
    @Order(Integer.MAX_VALUE)
    void anUnplugWhileGuestsWriteIsAnErrorOfTheirsAndTheHostGoesOn() throws Exception {
        VirtualMachine one = newMachine();
        VirtualMachine other = newMachine();
        AttachedDevice a = one.attach(create("small"));
        AttachedDevice b = other.attach(create("eager"));
        List<CompletableFuture<ProgramResult>> writers = new ArrayList<>();
        writers.add(start(one, endlessly(a)));
        writers.add(start(other, endlessly(b)));
        awaitStores(a.mdev());
        awaitStores(b.mdev());

        unplug();
        for (CompletableFuture<ProgramResult> writer : writers) {
            ProgramResult result = writer.get(DEADLINE.toSeconds(), TimeUnit.SECONDS);
            assertThat(result.end()).as("%s", result).isEqualTo(End.FAULTED);
        }
        awaitReports(a.mdev());
        assertThat(run(one, new Step.Read(pages(a, 1))).end()).isEqualTo(End.FAULTED);
        assertThat(a.mdev().residentPages()).isZero();
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() -> create("eager"))
                .satisfies(e -> assertThat(e.errno()).isEqualTo(Errno.ENODEV));
        // Such a copy is an error, or of a place where nothing is; never a signal.
        try {
            bus.parents().getFirst().aperture().read(0, MemorySegment.ofArray(new byte[Page.SIZE]));
        } catch (MdevException e) {
            assertThat(e.errno()).isEqualTo(Errno.EIO);
        }
        one.detach(a.mdev().uuid());
        other.detach(b.mdev().uuid());
        bus.removeParent("memory0", Duration.ZERO);
        assertThat(bus.parents()).isEmpty();
        assertThat(bus.mdevs()).isEmpty();
    }

    /// Stores 1, 2, 3... to one place.
    private static Step endlessly(AttachedDevice device) {
        return new Step.Write(new Span(bar(device), 8, GuestProgram.MAX_ACCESSES, 0), 1, 1);
    }

    private static void awaitStores(Mdev mdev) {
        long end = System.nanoTime() + DEADLINE.toNanos();
        while (inFunction(mdev, 0) < 100) {
            assertThat(System.nanoTime()).as("the guest stores").isLessThan(end);
            Thread.onSpinWait();
        }
    }

    /// Of a device, and then of the parent.
    private void awaitReports(Mdev mdev) throws InterruptedException {
        boolean ofDevice = false;
        while (true) {
            MdevEvent event = events.poll(DEADLINE.toSeconds(), TimeUnit.SECONDS);
            assertThat(event).as("a report that the function is gone").isNotNull();
            if (event.fact() instanceof MdevEvent.Reported reported
                    && reported.uuid().equals(mdev.uuid())) {
                assertThat(reported.text()).contains("is gone: ");
                ofDevice = true;
            } else if (event.fact() instanceof MdevEvent.ParentReported reported) {
                assertThat(reported.parent()).isEqualTo("memory0");
                assertThat(reported.text()).contains("is gone: ");
                assertThat(ofDevice).isTrue();
                return;
            }
        }
    }
}
