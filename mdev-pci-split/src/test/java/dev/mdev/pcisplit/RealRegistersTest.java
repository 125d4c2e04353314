package dev.mdev.pcisplit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Page;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.engine.kvm.KvmEngine;
import dev.mdev.core.engine.kvm.RealKvm;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.vm.AttachedDevice;
import dev.mdev.core.vm.GuestProgram;
import dev.mdev.core.vm.GuestProgram.Step;
import dev.mdev.core.vm.MachineSpec;
import dev.mdev.core.vm.ProgramResult;
import dev.mdev.core.vm.VirtualMachine;
import dev.mdev.gate.Deadlines;
import dev.mdev.gate.OnlyInBox;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/// Registers, a display's memory, stubs and resets of real functions. QEMU's `edu` answers accesses
/// of 4 bytes only, so it shows that each access has the guest's width.
@OnlyInBox
@RealKvm
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class RealRegistersTest {
    private static final String SECOND_MEMORY = "0000:02:00.0";
    private static final String EDU = "0x1234 0x11e8";

    /// `edu` interrupts while its register 0x24 is not zero; a store to 0x60 sets bits there, and
    /// one to 0x64 clears them.
    private static final String INTERRUPTING =
            """
                          - {offset: 0x24}
                          - {offset: 0x60, write: 0xffffffff, reset: keep}
                          - {offset: 0x64, write: 0xffffffff, reset: 0xffffffff}
                interrupts:
                  - {status: {bar: 0, offset: 0x24}, bits: 0xff}
            """;

    private final HostMemory memory = new HostMemory(new MemfdMemory());
    private final MdevBus bus = new MdevBus(memory, Deadlines.HANG, MdevObserver.NONE);
    private final List<VirtualMachine> machines = new ArrayList<>();
    private @TempDir Path folder;

    @AfterEach
    void stop() {
        machines.forEach(VirtualMachine::close);
        bus.close();
        memory.close();
    }

    /// @return the driver's reports
    private List<String> share(String description) throws IOException {
        Files.writeString(folder.resolve("function.yaml"), description);
        List<String> reports = new ArrayList<>();
        bus.addDriver(new PciSplitDriver(), Map.of("dir", folder.toString()), reports::add);
        return reports;
    }

    private VirtualMachine newMachine() {
        VirtualMachine machine =
                new VirtualMachine(
                        new MachineSpec("vm" + machines.size(), 1 << 20, 1),
                        new KvmEngine(Deadlines.HANG),
                        memory);
        machines.add(machine);
        return machine;
    }

    private Mdev create(String type) {
        return bus.create(UUID.randomUUID(), bus.parents().getFirst().name(), type);
    }

    private static List<Long> run(VirtualMachine machine, Step... steps) {
        ProgramResult result =
                machine.vcpu(0)
                        .execute(new GuestProgram(List.of(steps), false), Deadlines.HANG)
                        .join();
        assertThat(result.end()).as("%s", result).isEqualTo(ProgramResult.End.COMPLETED);
        assertThat(result.steps()).allSatisfy(step -> assertThat(step.mismatches()).isZero());
        return result.steps().stream().flatMap(step -> step.values().stream()).toList();
    }

    private static Step load(long gpa, int widthBytes) {
        return new Step.Read(new Span(gpa, widthBytes, 1, 0));
    }

    private static Step store(long gpa, int widthBytes, long value) {
        return new Step.Write(new Span(gpa, widthBytes, 1, 0), value, 0);
    }

    private static long bar(AttachedDevice device, int index) {
        return device.barGpa(index).orElseThrow();
    }

    /// A description of `edu`, whose guests see a doorbell page, and a page with some registers.
    ///
    /// @param registers those that guests reach, and what else the type has
    private static String edu(String registers) {
        return """
        function: "%s"
        name: edu0
        pools:
          doorbells: {bar: 0, offset: 0x80000, size: 16KiB, content: registers}
        types:
          one:
            demands: {doorbells: {size: 4KiB}}
            bars:
              0:
                areas:
                  - {pool: doorbells}
                  - at: 4KiB
                    registers: {bar: 0, offset: 0}
                    allow:
        """
                        .formatted(BoxFunctions.of(EDU).getFirst())
                + registers;
    }

    @Test
    void aGuestReachesTheListedRegistersAndNoOthers() throws IOException {
        List<String> reports =
                share(
                        edu(
                                """
                                                  - {offset: 0x0}
                                                  - {offset: 0x4, write: 0xffffffff, reset: keep}
                                                  - {offset: 0x8, read: 0xff, write: 0xf, reset: 0}
                                """));
        assertThat(reports).isEmpty();
        VirtualMachine machine = newMachine();
        AttachedDevice device = machine.attach(create("one"));
        long registers = bar(device, 0) + Page.SIZE;
        List<Long> values =
                run(
                        machine,
                        load(registers, 4),
                        load(registers + 2, 2),
                        store(registers + 4, 4, 0x1234_5678),
                        load(registers + 4, 4),
                        load(registers + 4, 1),
                        load(registers + 0x20, 4),
                        load(registers + 0x60, 4));
        assertThat(values).containsExactly(0x0100_00edL, 0x0100L, 0xedcb_a987L, 0x87L, 0L, 0L);
        assertThat(device.mdev().counters()).containsEntry("refused_register_accesses", 8L);
    }

    @Test
    void aFunctionsInterruptReachesTheGuestAndEndsWhenTheGuestAcknowledgesIt() throws Exception {
        assertThat(share(edu(INTERRUPTING))).isEmpty();
        VirtualMachine machine = newMachine();
        AttachedDevice device = machine.attach(create("one"));
        requireInterrupts(machine, device);
        assertThat(device.mdev().counters()).doesNotContainKey("function_interrupts");
    }

    /// The same by the function's own interrupts, of which the kernel tells.
    @Test
    void aFunctionThatIsBoundToUioIsNotLookedAt() throws Exception {
        try (AutoCloseable _ = bind(BoxFunctions.of(EDU).getFirst(), "uio_pci_generic")) {
            assertThat(share(edu(INTERRUPTING) + "stub: uio_pci_generic\n")).isEmpty();
            VirtualMachine machine = newMachine();
            AttachedDevice device = machine.attach(create("one"));
            requireInterrupts(machine, device);
            requireInterrupts(machine, device);
            assertThat(device.mdev().counters().get("function_interrupts"))
                    .as("one for each store to 0x60")
                    .isGreaterThanOrEqualTo(2);
        }
    }

    private static void requireInterrupts(VirtualMachine machine, AttachedDevice device)
            throws InterruptedException {
        assertThat(device.enableMessages()).isEqualTo(1);
        long registers = bar(device, 0) + Page.SIZE;
        long before = device.interrupts().count(0);
        var _ = run(machine, store(registers + 0x60, 4, 0x100));
        assertThat(run(machine, load(registers + 0x24, 4))).containsExactly(0x100L);
        assertThat(device.interrupts().count(0)).as("not one of its bits").isEqualTo(before);

        var _ = run(machine, store(registers + 0x60, 4, 0x5));

        assertThat(device.interrupts().await(0, before + 1, Deadlines.HANG)).isTrue();
        assertThat(
                        run(
                                machine,
                                load(registers + 0x24, 4),
                                store(registers + 0x64, 4, 0x105),
                                load(registers + 0x24, 4)))
                .containsExactly(0x105L, 0L);
    }

    /// Binds a function to a driver of the kernel, until it is closed.
    private static AutoCloseable bind(String address, String driver) throws Exception {
        Path function = BoxFunctions.SYSFS.resolve("bus/pci/devices").resolve(address);
        assertThat(new ProcessBuilder("modprobe", driver).inheritIO().start().waitFor()).isZero();
        Files.writeString(function.resolve("driver_override"), driver);
        Files.writeString(
                BoxFunctions.SYSFS.resolve("bus/pci/drivers").resolve(driver).resolve("bind"),
                address);
        return () -> Files.writeString(function.resolve("driver/unbind"), address);
    }

    @Test
    void aDisplaysMemoryIsSharedWithWriteCombining() throws IOException {
        String address = BoxFunctions.of("0x1234 0x1111").getFirst();
        List<String> reports =
                share(
                        """
                        function: "%s"
                        name: display0
                        pools:
                          vram: {bar: 0, size: 16MiB, write-combining: true}
                        types:
                          quarter:
                            demands: {vram: {size: 256KiB, step: 16KiB}}
                            bars:
                              0: {areas: [{pool: vram, ahead: 16}]}
                              2:
                                areas:
                                  - registers: {bar: 2, offset: 0}
                                    allow:
                                      - {offset: 0x500, width: 2}
                                      - {offset: 0x50a, width: 2, read: 0xffff}
                        """
                                .formatted(address));
        assertThat(reports).isEmpty();
        VirtualMachine one = newMachine();
        VirtualMachine other = newMachine();
        AttachedDevice a = one.attach(create("quarter"));
        AttachedDevice b = other.attach(create("quarter"));
        Span mine = new Span(bar(a, 0), 8, 64, Page.SIZE);
        Span theirs = new Span(bar(b, 0), 8, 64, Page.SIZE);
        var _ = run(one, new Step.Write(mine, 1, 1));
        var _ = run(other, new Step.Check(theirs, 0, 0), new Step.Write(theirs, 100, 1));
        var _ = run(one, new Step.Check(mine, 1, 1));
        assertThat(a.mdev().residentPages()).isEqualTo(64);
        assertThat(run(one, load(bar(a, 2) + 0x500, 2)).getFirst() & 0xfff0)
                .as("the identity of a Bochs display")
                .isEqualTo(0xb0c0);
    }

    @Test
    void aFunctionWithAStubIsSharedIfTheDescriptionNamesIt() throws Exception {
        String description =
                """
                function: "%s"
                name: memory0
                pools: {memory: {bar: 2, size: 4MiB}}
                types:
                  whole:
                    most: 1
                    demands: {memory: {size: 64KiB}}
                    bars: {0: {areas: [{pool: memory}]}}
                    reset: {function: true}
                """
                        .formatted(SECOND_MEMORY);
        try (AutoCloseable _ = bind(SECOND_MEMORY, "pci-stub")) {
            assertThat(share(description))
                    .singleElement()
                    .asString()
                    .contains("the kernel's driver pci-stub has the function");
            assertThat(share(description + "stub: pci-stub\n")).isEmpty();
            VirtualMachine machine = newMachine();
            AttachedDevice device = machine.attach(create("whole"));
            Span pages = new Span(bar(device, 0), 8, 16, Page.SIZE);
            var _ = run(machine, new Step.Write(pages, 1, 1), new Step.Check(pages, 1, 1));
            bus.reset(device.mdev().uuid());
            device.runFirmware();
            var _ =
                    run(
                            machine,
                            new Step.Check(pages, 0, 0),
                            new Step.Write(pages, 9, 1),
                            new Step.Check(pages, 9, 1));
        }
    }
}
