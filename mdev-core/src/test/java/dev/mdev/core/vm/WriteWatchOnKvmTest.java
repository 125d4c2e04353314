package dev.mdev.core.vm;

import static dev.mdev.core.vm.PciMachine.assertErrno;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.core.engine.kvm.KvmEngine;
import dev.mdev.core.engine.kvm.RealKvm;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;

import org.junit.jupiter.api.Test;

@RealKvm
class WriteWatchOnKvmTest {
    @Test
    void storesOfAGuestOfTheKernelCannotBeWatched() {
        try (PciMachine machine =
                new PciMachine(
                        new MachineSpec("vm", PciMachine.RAM_BYTES, 1),
                        new KvmEngine(PciMachine.PATIENCE),
                        new MemfdMemory())) {
            machine.attach();
            assertErrno(Errno.EOPNOTSUPP, () -> machine.device(0).memory().watchWrites(0x5000, 1));
            machine.store(0x5000, 8, 1);
            assertThat(machine.load(0x5000, 8)).isEqualTo(1);
        }
    }
}
