package dev.mdev.core.bus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.engine.ScriptedDriver;
import dev.mdev.core.engine.VcpuExit;
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

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/// A device that is taken from a guest that is using it.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class TakenFromGuestTest {
    private static final Duration DEADLINE = Deadlines.HANG;

    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final ScriptedDriver driver = new ScriptedDriver();
    private final MdevBus bus = new MdevBus(memory, DEADLINE, MdevObserver.NONE);
    private final VirtualMachine vm =
            new VirtualMachine(
                    new MachineSpec("vm", 1 << 20, 2), new SoftwareEngine(DEADLINE), memory);

    @AfterEach
    void end() {
        vm.close();
        bus.close();
        memory.close();
    }

    private AttachedDevice attach() {
        return vm.attach(bus.create(UUID.randomUUID(), ScriptedDriver.PARENT, ScriptedDriver.TYPE));
    }

    private static GuestProgram program(Step... steps) {
        return new GuestProgram(List.of(steps), false);
    }

    private byte[] vram() {
        byte[] all = new byte[(int) (ScriptedDriver.POOL_PAGES * 4096)];
        driver.aperture().read(0, MemorySegment.ofArray(all));
        return all;
    }

    @Test
    void theGuestsNextAccessFailsAndItsPagesAreScrubbedAndStayZeroWhateverItDoes()
            throws Exception {
        bus.addDriver(driver, Map.of());
        AttachedDevice device = attach();
        UUID uuid = device.mdev().uuid();
        long bar = device.barGpa(ScriptedDriver.LAZY_BAR).orElseThrow();
        long registers = device.barGpa(ScriptedDriver.TRAPPED_BAR).orElseThrow();
        CompletableFuture<ProgramResult> writer =
                vm.vcpu(0)
                        .execute(
                                program(new Step.Write(new Span(bar, 8, 1L << 31, 0), 1, 1)),
                                DEADLINE);
        while (device.mdev().faultCount() == 0) {
            Thread.onSpinWait();
        }

        assertThat(bus.remove(uuid, Removal.forcing(Duration.ofMillis(20))))
                .isEqualTo(new RemovalReport(Optional.of("vm"), true, Optional.empty()));

        ProgramResult result = writer.get(DEADLINE.toSeconds(), TimeUnit.SECONDS);
        assertThat(result.end()).isEqualTo(ProgramResult.End.FAULTED);
        VcpuExit.Fault fault = result.steps().getFirst().fault().orElseThrow();
        assertThat(fault.refusal().errno()).isEqualTo(Errno.ENODEV);
        assertThat(fault.refusal().reason()).contains("removed");
        assertThat(vram()).isEqualTo(new byte[(int) (ScriptedDriver.POOL_PAGES * 4096)]);
        ProgramResult again =
                vm.vcpu(1)
                        .execute(
                                program(new Step.Write(new Span(registers, 4, 1, 0), 7, 0)),
                                DEADLINE)
                        .get(DEADLINE.toSeconds(), TimeUnit.SECONDS);
        assertThat(again.steps().getFirst().fault().orElseThrow().refusal().errno())
                .isEqualTo(Errno.ENODEV);
        assertThat(driver.devices.getFirst().registerAccesses).isEmpty();
        assertThat(driver.devices.getFirst().closed).isTrue();

        AttachedDevice next = attach();
        long nextBar = next.barGpa(ScriptedDriver.LAZY_BAR).orElseThrow();
        assertThat(nextBar).as("the old one's addresses are not given on").isNotEqualTo(bar);
        vm.detach(uuid);
        assertThat(driver.devices.getFirst().resets).as("driver code after close").hasValue(0);
        ProgramResult alive =
                vm.vcpu(0)
                        .execute(
                                program(new Step.Write(new Span(nextBar, 8, 1, 0), 5, 0)), DEADLINE)
                        .get(DEADLINE.toSeconds(), TimeUnit.SECONDS);
        assertThat(alive.end()).isEqualTo(ProgramResult.End.COMPLETED);
        long base = driver.aperture().pfns().firstPfn();
        long pfn = next.mdev().share().getFirst().pfnOf(0);
        assertThat(
                        MemorySegment.ofArray(vram())
                                .get(ValueLayout.JAVA_LONG_UNALIGNED, (pfn - base) * 4096))
                .isEqualTo(5);
    }

    @Test
    void aMachineCanBeClosedAfterItsDeviceWasTaken() {
        bus.addDriver(driver, Map.of());
        AttachedDevice device = attach();

        bus.removeParent(ScriptedDriver.PARENT, Duration.ZERO);

        assertThat(bus.parents()).isEmpty();
        vm.close();
        assertThat(device.mdev().holder()).isEmpty();
    }

    @Test
    void aDeviceThatIsMadeAgainIsNotPutInBeforeTheMachineTookTheFormerOneOut() {
        bus.addDriver(driver, Map.of());
        UUID uuid = attach().mdev().uuid();
        bus.remove(uuid, Removal.forcing(Duration.ZERO));
        Mdev again = bus.create(uuid, ScriptedDriver.PARENT, ScriptedDriver.TYPE);

        assertThatThrownBy(() -> vm.attach(again))
                .isInstanceOfSatisfying(
                        MdevException.class,
                        e -> {
                            assertThat(e.errno()).isEqualTo(Errno.EBUSY);
                            assertThat(e).hasMessageContaining("detach");
                        });

        assertThat(again.holder()).isEmpty();
        vm.detach(uuid);
        assertThat(vm.attach(again).mdev()).isSameAs(again);
    }
}
