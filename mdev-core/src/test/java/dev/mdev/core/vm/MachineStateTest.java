package dev.mdev.core.vm;

import static dev.mdev.core.vm.PciMachine.assertErrno;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.engine.software.SoftwareOptions;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.hostmm.OffHeapBackend;

import org.junit.jupiter.api.Test;

final class MachineStateTest extends MachineStateContract {
    private SoftwareOptions optionsOfRestored = SoftwareOptions.DEFAULT;

    @Override
    Engine engine() {
        return new SoftwareEngine(PciMachine.PATIENCE);
    }

    @Override
    Engine engineOfRestored() {
        return new SoftwareEngine(PciMachine.PATIENCE, optionsOfRestored);
    }

    @Override
    MemoryBackend backend() {
        return new OffHeapBackend();
    }

    @Test
    void aGuestIsNotRestoredWhereItsBarsWouldBeElsewhereAndNothingIsLeft() {
        machine.attach();
        byte[] state = saved();
        optionsOfRestored = SoftwareOptions.DEFAULT.withPhysicalAddressBits(39);

        assertErrno(Errno.EINVAL, () -> restore(state));

        assertErrno(Errno.ESHUTDOWN, () -> restored.getFirst().attach(machine.create()));
        assertThat(machine.bus.mdevs()).hasSize(2);
        optionsOfRestored = SoftwareOptions.DEFAULT;
        assertThat(restore(state).machine().devices()).hasSize(1);
    }
}
