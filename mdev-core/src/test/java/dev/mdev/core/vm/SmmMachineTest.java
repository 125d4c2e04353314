package dev.mdev.core.vm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.RegionArea;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.memslot.SmmDesign;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.util.List;

class SmmMachineTest extends SmmMachineContract {
    @Override
    Engine engine() {
        return new SoftwareEngine(PciMachine.PATIENCE);
    }

    @Override
    MemoryBackend backend() {
        return new OffHeapBackend();
    }

    /// The same program on both designs: what the guest finds is the same, but with the flag the
    /// display cannot be memory, so each of its accesses leaves the guest.
    @ParameterizedTest
    @EnumSource(names = {"ADDRESS_SPACE", "SLOT_FLAG"})
    void bothDesignsShowTheSameValues(SmmDesign design) {
        PciMachine machine = machine(design);
        attachDisplay(machine, RegionArea.Kind.LAZY);
        boolean flag = design == SmmDesign.SLOT_FLAG;

        List<StepResult> steps =
                run(
                        machine,
                        write(VGA, 0x11),
                        smi(),
                        write(VGA, 0x22),
                        read(VGA),
                        rsm(),
                        read(VGA));

        assertThat(valueOf(steps.get(3))).isEqualTo(0x22);
        assertThat(valueOf(steps.get(5))).isEqualTo(0x11);
        assertThat(steps.get(0).mmioExits()).isEqualTo(flag ? 1 : 0);
        assertThat(steps.get(5).mmioExits()).isEqualTo(flag ? 1 : 0);
        assertThat(steps)
                .extracting(StepResult::addressSpace)
                .containsExactly(0, flag ? 0 : 1, flag ? 0 : 1, flag ? 0 : 1, 0, 0);
        assertThat(steps)
                .extracting(StepResult::inSmm)
                .containsExactly(false, true, true, true, false, false);
    }

    @Test
    void aMachineWithTooLittleRamIsRefused() {
        PciMachine.assertErrno(
                Errno.EINVAL, () -> new MachineSpec("vm", 1 << 20, 1, SmmDesign.ADDRESS_SPACE));
    }

    @Test
    void aMachineWithoutTheModeGetsNoInterrupt() {
        PciMachine machine = machine(SmmDesign.NONE);
        Throwable failure =
                org.assertj.core.api.Assertions.catchThrowable(() -> machine.run(smi()));
        PciMachine.assertErrno(
                Errno.ENOTTY,
                () -> {
                    throw failure.getCause();
                });
    }
}
