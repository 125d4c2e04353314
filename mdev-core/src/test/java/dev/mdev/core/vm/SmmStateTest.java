package dev.mdev.core.vm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.machinestate.MachineStateFormat;
import dev.mdev.core.machinestate.MachineStateHeader;
import dev.mdev.core.machinestate.MachineStateSection;
import dev.mdev.core.machinestate.MachineStateWriter;
import dev.mdev.core.machinestate.ProgramPosition;
import dev.mdev.core.machinestate.SaveReport;
import dev.mdev.core.machinestate.SmmPosition;

import org.junit.jupiter.api.Test;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.List;

class SmmStateTest extends SmmStateContract {
    @Override
    Engine engine() {
        return new SoftwareEngine(PciMachine.PATIENCE);
    }

    @Override
    MemoryBackend backend() {
        return new OffHeapBackend();
    }

    /// The saved registers are in another engine's form.
    @Test
    void aProcessorInsideIsNotTakenOverFromAnotherEngine() throws IOException {
        SmmPosition inside = new SmmPosition(true, false, SmramRegions.smbaseOf(0));
        SmmPosition outside = new SmmPosition(false, false, SmramRegions.smbaseOf(1));

        assertThat(restore(stateOfKvm(outside, outside)).machine().vcpu(0).isInSmm()).isFalse();
        assertThatThrownBy(() -> restore(stateOfKvm(inside, outside)))
                .isInstanceOfSatisfying(
                        MdevException.class,
                        e -> {
                            assertThat(e.errno()).isEqualTo(Errno.EINVAL);
                            assertThat(e).hasMessageContainingAll("engine=kvm", "engine=software");
                        });
    }

    private byte[] stateOfKvm(SmmPosition... positions) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        MachineStateWriter writer =
                MachineStateWriter.begin(
                        out,
                        new MachineStateHeader(
                                "vm",
                                "kvm",
                                machine.vm.addresses().physicalAddressBits(),
                                RAM_BYTES,
                                positions.length,
                                design(),
                                List.of()));
        writer.smm(
                new MachineStateSection.Smm(
                        new byte[MachineStateFormat.BRIDGE_BYTES], List.of(positions)));
        writer.processors(List.of(ProgramPosition.IDLE, ProgramPosition.IDLE));
        writer.end(new SaveReport(1, 0, 0, 0));
        return out.toByteArray();
    }
}
